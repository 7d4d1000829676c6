from pathlib import Path

import numpy as np
import pytest

from tests.training.reading import interactions_of, row
from training.chunk import chunk_of
from training.metrics import Labels
from training.scopes import ALL, NEW_ITEMS, NEW_TO_CUSTOMER, NOVEL, REBUY, SCOPES, SEEN, Judged, judged_of
from training.sources.source import NOTHING

ITEMS = {"bought": 0, "bygone": 1, "fresh": 2, "never": 3, "viewed": 4}


@pytest.fixture
def judged(tmp_path: Path) -> Judged:
    """Give one customer who bought one item, viewed another, and later bought all of them."""
    rows = [row("me", "bought", 3), row("me", "viewed", 2, "view"), row("other", "bought", 100)]
    rows += [
        row("other", "bygone", 90),
        row("other", "fresh", 1),
        row("other", "never", 80),
        row("other", "viewed", 70),
    ]
    chunk = chunk_of(interactions_of(tmp_path, rows), np.array([0]))
    labels = Labels(1, np.zeros(5, dtype=np.int64), np.arange(5), np.ones(5))
    return judged_of(labels, chunk)


@pytest.mark.parametrize(
    ("name", "items"),
    [
        (ALL, {"bought", "bygone", "fresh", "never", "viewed"}),
        (REBUY, {"bought"}),
        (SEEN, {"viewed"}),
        (NOVEL, {"bygone", "fresh", "never"}),
        (NEW_TO_CUSTOMER, {"bygone", "fresh", "never", "viewed"}),
        (NEW_ITEMS, {"fresh"}),
    ],
)
def test_a_scope_keeps_its_part_of_labels_and_of_lists(judged: Judged, name: str, items: set[str]) -> None:
    [scope] = [scope for scope in SCOPES if scope.name == name]
    wanted = {ITEMS[item] for item in items}
    assert set(judged.labels_in(scope).item_rows.tolist()) == wanted
    [kept] = judged.lists_in(scope, np.array([[4, 3, 2, NOTHING, 1, 0]])).tolist()
    listed = [item for item in kept if item != NOTHING]
    assert set(listed) == wanted
    assert listed == sorted(listed, reverse=True)
    assert name == ALL or kept[len(listed) :] == [NOTHING] * (6 - len(listed))


def test_customers_are_told_apart_by_how_much_they_had_bought(judged: Judged) -> None:
    assert [(band, members.tolist()) for band, members in judged.activity()] == [("bought-1-9", [True])]
