"""Ten real customers of a report: what they were offered before, what they are offered now, what they bought."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.artifact import Artifact
from models.backtest import NO_ITEM, Backtest
from models.candidates import BOUGHT_FLAG

CUSTOMERS, PLACES = 10, 10


def ten_customers(artifact: Artifact, before: Artifact | None, names: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Describe some of the judged customers for the template; nothing when nobody was judged.

    Of every tenth of them, in the order of ids, whoever bought most in the window: the same model shows the same ones.
    """
    backtest = artifact.backtest()
    if backtest is None or not backtest.customer_ids:
        return
    chosen = _chosen(backtest)
    ids = [backtest.customer_ids[place] for place in chosen]
    now = _lists(artifact, ids)
    earlier = _lists(before, ids) if before else None
    vocabulary = list(artifact.items().vocabulary)

    def called(item_id: str) -> str:
        return names.get(item_id, item_id)

    for place, customer_id in zip(chosen, ids, strict=True):
        bought = backtest.label_rows[backtest.label_owners == place]
        history = slice(*backtest.history_offsets[place : place + 2])
        columns = [_judged(backtest, place, bought, vocabulary, called)]
        columns += [_stored(lists.get(customer_id, ()), called) for lists in (earlier, now) if lists is not None]
        yield {
            "customer_id": customer_id,
            "bought_before": int(backtest.history_bought[history].sum()),
            "bought": [called(vocabulary[row]) for row in bought],
            "places": list(zip(*columns, strict=True)),
        }


def _chosen(backtest: Backtest) -> list[int]:
    counts = np.bincount(backtest.label_owners, minlength=len(backtest.customer_ids))
    parts = np.array_split(np.arange(len(counts)), min(CUSTOMERS, len(counts)))
    return [int(part[np.argmax(counts[part])]) for part in parts]


def _lists(artifact: Artifact, customer_ids: Sequence[str]) -> dict[str, Sequence[tuple[str, bool]]]:
    """Give the first items of these customers' stored lists: ids, and whether each had been bought before."""
    vocabulary = artifact.items().vocabulary
    found: dict[str, Sequence[tuple[str, bool]]] = {}
    for table in artifact.lists():
        wanted = set(customer_ids) & set(table.customer_ids)
        for index in (index for index, name in enumerate(table.customer_ids) if name in wanted):
            first = table.list_at(index).candidates[:PLACES]
            found[table.customer_ids[index]] = [
                (vocabulary.id_of(int(candidate["row"])), bool(candidate["source"] & BOUGHT_FLAG))
                for candidate in first
            ]
    return found


def _judged(
    backtest: Backtest, place: int, bought: NDArray[np.uint32], vocabulary: Sequence[str], called: Callable[[str], str]
) -> list[dict[str, Any] | None]:
    rows = [int(row) for row in backtest.lists[place, :PLACES] if row != NO_ITEM]
    return _padded([{"name": called(vocabulary[row]), "hit": row in bought, "again": False} for row in rows])


def _stored(items: Sequence[tuple[str, bool]], called: Callable[[str], str]) -> list[dict[str, Any] | None]:
    return _padded([{"name": called(item), "hit": False, "again": again} for item, again in items])


def _padded(cells: list[dict[str, Any]]) -> list[dict[str, Any] | None]:
    return [*cells, *[None] * (PLACES - len(cells))]
