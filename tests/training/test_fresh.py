"""How far fresh events move a list is learned from a window that the list knew nothing of."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pytest

from models.candidates import CandidateList
from models.fold_model import SIGNALS
from models.folding import Folder
from models.profile import ProfileEvent
from tests.live import shop
from tests.models_fixtures import LAST_EVENT_TIME, candidate, candidate_list, item_id
from training.config import TrainingConfiguration
from training.fresh import SENSIBLE, LearnedFold, Replay, learn_fold_weights, replay
from training.windows import Window

NOW = LAST_EVENT_TIME + timedelta(days=1)
FIRST = int(LAST_EVENT_TIME.timestamp())
DAY = 86_400
LISTED = candidate_list([candidate(0, 0.9), *(candidate(row, 0.1) for row in range(1, 6))])


@pytest.fixture
def folder() -> Folder:
    return Folder(shop.fold_model(), shop.items())


def replayed(folder: Folder, fates: Sequence[tuple[int, int]], event_type: str = "purchase") -> Replay:
    """Let each customer do something to the first item and buy the second afterwards, nine of ten item 0 as well."""
    histories = [folder.history([ProfileEvent(event_type, item_id(did), "", NOW)], NOW) for did, _ in fates]
    bought = [np.array([0, item] if number % 10 else [item]) for number, (_, item) in enumerate(fates)]
    return Replay(histories, bought)


def learned(folder: Folder, told: Replay, published: CandidateList | None = LISTED) -> LearnedFold:
    return learn_fold_weights(folder, told, [published] * len(told.histories))


def test_a_purchase_counts_for_an_item_that_is_bought_again(folder: Folder) -> None:
    again = learned(folder, replayed(folder, [(1 + number % 5, 1 + number % 5) for number in range(60)]))
    never = learned(folder, replayed(folder, [(1 + number % 5, 1 + (number + 1) % 5) for number in range(60)]))
    assert again.weights.bought > SENSIBLE.bought > never.weights.bought
    assert (again.customers, again.purchases) == (60, 114)


def test_a_view_counts_for_an_item_that_is_bought_then(folder: Folder) -> None:
    told = replayed(folder, [(1 + number % 5, 1 + number % 5) for number in range(60)], "view")
    assert learned(folder, told).weights.viewed > SENSIBLE.viewed


def test_what_the_published_list_lacked_is_learned_by_itself(folder: Folder) -> None:
    told = replayed(folder, [(10 + number % 6, 10 + number % 6) for number in range(60)])
    assert learned(folder, told).weights.unlisted > SENSIBLE.unlisted


def test_likeness_never_speaks_against_an_item(folder: Folder) -> None:
    told = replayed(folder, [(12, 1 + number % 5) for number in range(60)])
    weights = learned(folder, told).weights
    assert weights.neighbors >= 0
    assert weights.collaborative >= 0


@pytest.mark.parametrize("published", [LISTED, None])
def test_without_purchases_the_sensible_weights_stay(folder: Folder, published: CandidateList | None) -> None:
    histories = [folder.history([ProfileEvent("purchase", item_id(3), "", NOW)], NOW)]
    told = Replay(histories, [np.empty(0, dtype=np.int64)])
    assert learned(folder, told, published) == LearnedFold(SENSIBLE)


def test_what_was_learned_is_told_by_name(folder: Folder) -> None:
    told = learned(folder, replayed(folder, [(1, 1), (2, 3)])).describe()
    assert tuple(told["weights"]) == SIGNALS
    assert told["purchases"] == 3


def test_a_window_is_cut_so_that_no_history_knows_what_is_foretold(folder: Folder) -> None:
    days, customers = 30, 40
    seconds = FIRST + DAY * np.arange(days)
    purchase = list(TrainingConfiguration().event_weights()).index("purchase")
    events = {
        "customer": np.repeat(np.arange(customers), days),
        "item": np.tile(np.arange(days) % shop.ITEMS, customers),
        "type": np.full(customers * days, purchase),
        "seconds": np.tile(seconds, customers),
    }
    ids = [item_id(row) for row in range(shop.ITEMS)]
    window = Window(FIRST, FIRST + days * DAY)
    told = replay(events, np.arange(customers), ids, folder, window, TrainingConfiguration())
    lengths = {len(history.rows) for history in told.histories}
    assert len(lengths) > 5
    assert max(lengths) <= days / 2
    for history, bought in zip(told.histories, told.bought, strict=True):
        known = len(history.rows)
        assert history.rows.tolist() == list(range(known))
        assert bought.tolist() == sorted({day % shop.ITEMS for day in range(known, days)})
