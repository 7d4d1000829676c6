from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies

from models.customers import Consent, ConsentStatus, CustomerRecord, join_records

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
GRANTED, WITHDRAWN = ConsentStatus.GRANTED, ConsentStatus.WITHDRAWN

consents = strategies.builds(
    Consent,
    strategies.sampled_from(["marketing", "profiling"]),
    strategies.sampled_from(["", "push"]),
    strategies.sampled_from(ConsentStatus),
    strategies.integers(0, 3).map(lambda minutes: NOON + timedelta(minutes=minutes)),
)
records = strategies.builds(
    CustomerRecord,
    strategies.sampled_from(["ada", "bob", "eve"]),
    time_zone=strategies.sampled_from(["", "Asia/Seoul", "Europe/Berlin"]),
    language=strategies.sampled_from(["", "de", "ko"]),
    attributes=strategies.dictionaries(strategies.sampled_from(["tier", "city"]), strategies.sampled_from(["a", "b"])),
    consents=strategies.lists(consents, max_size=3, unique_by=lambda one: (one.category, one.channel)).map(tuple),
    update_time=strategies.integers(0, 3).map(lambda minutes: NOON + timedelta(minutes=minutes)),
)
several = strategies.lists(records, min_size=1, max_size=3, unique_by=lambda record: record.customer_id)


def saying(*said: tuple[str, ConsentStatus]) -> CustomerRecord:
    return CustomerRecord(
        "ada", consents=tuple(Consent("marketing", channel, status, NOON) for channel, status in said)
    )


@pytest.mark.parametrize(
    ("record", "channel", "requested", "holds"),
    [
        (saying(), "push", True, True),
        (saying(), "push", False, False),
        (saying(("", GRANTED)), "push", False, True),
        (saying(("push", GRANTED)), "push", False, True),
        (saying(("push", GRANTED)), "web", False, False),
        (saying(("push", GRANTED)), "", False, False),
        (saying(("", WITHDRAWN)), "push", True, False),
        (saying(("push", WITHDRAWN)), "push", True, False),
        (saying(("push", WITHDRAWN)), "web", True, True),
        (saying(("push", WITHDRAWN)), "", True, False),
        (saying(("", GRANTED), ("push", WITHDRAWN)), "push", True, False),
        (saying(("", WITHDRAWN), ("push", GRANTED)), "push", True, False),
    ],
)
def test_stored_consent_joins_what_the_request_says_and_a_withdrawal_wins(
    record: CustomerRecord, channel: str, requested: bool, holds: bool
) -> None:
    asked = frozenset({"marketing"} if requested else ())
    assert ("marketing" in record.consented(asked, channel)) is holds


@given(several, strategies.data())
def test_joined_records_do_not_depend_on_their_order(
    together: list[CustomerRecord], data: strategies.DataObject
) -> None:
    shuffled = data.draw(strategies.permutations(together))
    assert join_records(shuffled) == join_records(together)


@given(several)
def test_of_each_consent_the_newest_statement_counts_and_of_two_the_withdrawal(together: list[CustomerRecord]) -> None:
    for consent in join_records(together).consents:
        said = [
            other
            for record in together
            for other in record.consents
            if (other.category, other.channel) == (consent.category, consent.channel)
        ]
        newest = max(other.statement_time for other in said)
        statuses = {other.status for other in said if other.statement_time == newest}
        assert (consent.statement_time, consent.status) == (newest, WITHDRAWN if WITHDRAWN in statuses else GRANTED)


def test_what_was_stored_last_counts() -> None:
    old = CustomerRecord("ada", "Asia/Seoul", "ko", {"tier": "gold", "city": "Seoul"}, (), NOON)
    new = CustomerRecord("device", "", "en", {"tier": "silver"}, (), NOON + timedelta(days=1))
    joined = join_records([new, old])
    assert joined == CustomerRecord(
        "ada", "Asia/Seoul", "en", {"city": "Seoul", "tier": "silver"}, (), NOON + timedelta(days=1)
    )
