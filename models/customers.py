"""What is known of a customer besides what they do: attributes, consent, and the names that are theirs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from operator import attrgetter

MAXIMAL_IDENTITIES = 32
"""How many ids one customer may have."""

AttributeValue = str | float | bool | tuple[str, ...]


class ConsentStatus(Enum):
    """Tells what a customer said about one category."""

    GRANTED = "granted"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Consent:
    """Is what a customer said about a category on a channel, empty for every one. The time is UTC and aware."""

    category: str
    channel: str
    status: ConsentStatus
    statement_time: datetime


NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class CustomerRecord:
    """Holds what a shop stored of a customer.

    ``time_zone`` is an IANA name and ``language`` a BCP 47 tag, empty when unknown. No name stands twice among the
    attributes, no category twice for one channel among the consents.
    """

    customer_id: str
    time_zone: str = ""
    language: str = ""
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    consents: tuple[Consent, ...] = ()
    update_time: datetime = NEVER

    def consented(self, requested: frozenset[str], channel: str) -> frozenset[str]:
        """Give the categories that hold for a request: those it names and those granted, but none withdrawn.

        What was said for a channel counts on it alone. A request without a channel is held to every withdrawal, and
        helped only by what was granted for every channel.
        """
        granted, withdrawn = set(requested), set()
        for consent in self.consents:
            if consent.status is ConsentStatus.WITHDRAWN:
                if not channel or consent.channel in ("", channel):
                    withdrawn.add(consent.category)
            elif consent.channel in ("", channel):
                granted.add(consent.category)
        return frozenset(granted - withdrawn)


def join_records(records: Sequence[CustomerRecord]) -> CustomerRecord:
    """Join what was stored under several ids of one customer; their order does not matter. At least one is needed.

    Of each consent the newest statement counts, of two at the same time the withdrawal; of everything else what was
    stored last, of two at the same time that under the id that sorts first. The id is the one that sorts first.
    """
    oldest_first = sorted(records, key=attrgetter("customer_id"), reverse=True)
    oldest_first.sort(key=attrgetter("update_time"))
    attributes: dict[str, AttributeValue] = {}
    consents: dict[tuple[str, str], Consent] = {}
    for record in oldest_first:
        attributes |= record.attributes
        for consent in record.consents:
            about = (consent.category, consent.channel)
            known = consents.get(about)
            if known is None or _weight(consent) > _weight(known):
                consents[about] = consent
    return CustomerRecord(
        customer_id=min(record.customer_id for record in records),
        time_zone=next((record.time_zone for record in reversed(oldest_first) if record.time_zone), ""),
        language=next((record.language for record in reversed(oldest_first) if record.language), ""),
        attributes=dict(sorted(attributes.items())),
        consents=tuple(consents[about] for about in sorted(consents)),
        update_time=oldest_first[-1].update_time,
    )


def _weight(consent: Consent) -> tuple[datetime, bool]:
    return consent.statement_time, consent.status is ConsentStatus.WITHDRAWN
