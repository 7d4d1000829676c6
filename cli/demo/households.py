"""What the demo knows of households: whom to show, what they bought after the cut, and how good a slate was."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import duckdb

from cli.demo.data import CUT, DemoData

_ACTIVITY = """
SELECT customer_id, count(*) AS lines, count(DISTINCT split_part(event_id, '-', 1)) AS baskets
FROM {events}
WHERE event_time < $cut AND customer_id IN (SELECT unnest($targeted))
GROUP BY customer_id
ORDER BY lines DESC, customer_id
"""

_LATER = """
SELECT customer_id, list(DISTINCT item_id) FROM {events} WHERE event_time >= $cut GROUP BY customer_id
"""

_RECENT_SALES = """
SELECT item_id, count(DISTINCT customer_id) FROM {events}
WHERE event_time < $cut AND event_time >= $cut - INTERVAL 30 DAY GROUP BY item_id
"""


@dataclass(frozen=True, slots=True)
class Household:
    """Is a household that a running campaign targets: purchase lines and visits before the cut."""

    customer_id: str
    lines: int
    baskets: int


@dataclass(frozen=True, slots=True)
class Purchases:
    """Knows who bought what: ``later`` (after the cut) by household, ``recent_buyers`` (30 days before it) by item."""

    households: Sequence[Household]
    later: Mapping[str, Set[str]]
    recent_buyers: Mapping[str, int]


def read_purchases(data: DemoData, targeted: Sequence[str]) -> Purchases:
    """Read what the demo compares slates with; ``households`` are the targeted ones, busiest first."""
    events = f"{data.table('events')}"
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        activity = database.execute(
            _ACTIVITY.format(events=events), {"cut": CUT, "targeted": list(targeted)}
        ).fetchall()
        later = database.execute(_LATER.format(events=events), {"cut": CUT}).fetchall()
        sales = database.execute(_RECENT_SALES.format(events=events), {"cut": CUT}).fetchall()
    return Purchases(
        households=[Household(*row) for row in activity],
        later={customer_id: frozenset(item_ids) for customer_id, item_ids in later},
        recent_buyers=dict(sales),
    )


def chosen(households: Sequence[Household], count: int) -> list[Household]:
    """Choose households to show without looking at what they bought later: evenly from the busy to the quiet half."""
    if count >= len(households):
        return list(households)
    return [households[len(households) * (2 * place + 1) // (4 * count)] for place in range(count)]
