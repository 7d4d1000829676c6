"""What is stored of a customer, brought to bear on a request that does not say it itself."""

from models.customers import CustomerRecord
from service.decision.query import Customer, Query
from service.handlers.queries import utc_offset
from service.store.customer_state import CustomerState


def customer_of(customer_id: str, state: CustomerState) -> Customer:
    """Make the customer that a decision is about of what was read under an id."""
    names = state.identity_ids
    asked = names[0] if names else customer_id
    return Customer(asked, state.candidates, state.profile, state.record, names, state.counters)


def personal_query(query: Query, record: CustomerRecord, *, time_zone: str) -> Query:
    """Let stored consent join the request's, and stored time zone and language stand in where it names none.

    ``time_zone`` is the one that the request named, empty for none. A consent withdrawn for the request's channel does
    not hold, whatever the request says.
    """
    zone = "" if time_zone else record.time_zone
    return query._replace(
        consent_categories=record.consented(query.consent_categories, query.channel),
        language=query.language or record.language,
        utc_offset=utc_offset(zone, query.now) if zone else query.utc_offset,
    )
