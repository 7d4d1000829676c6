"""Fresh events change a list as the learned blend says, and the same events always change it the same way."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, strategies
from implicit.cpu.als import AlternatingLeastSquares, user_factor
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from models import folding
from models.candidates import BOUGHT_FLAG, NO_EVIDENCE, VIEWED_FLAG, CandidateList, Source
from models.folding import Folder
from models.profile import ProfileEvent
from tests.live import shop
from tests.live.shop import ADAS
from tests.models_fixtures import LAST_EVENT_TIME, item_id

NOW = LAST_EVENT_TIME + timedelta(hours=1)


@pytest.fixture
def folder() -> Folder:
    return Folder(shop.fold_model(), shop.items())


def did(row: int, event_type: str = "purchase", days_ago: float = 0) -> ProfileEvent:
    return ProfileEvent(event_type, item_id(row), "", NOW - timedelta(days=days_ago))


def folded(folder: Folder, events: list[ProfileEvent], published: CandidateList | None = ADAS) -> CandidateList:
    [fresh] = folder.fold([folder.history(events, NOW)], [published])
    return fresh


def rows_of(candidates: CandidateList) -> list[int]:
    return [int(row) for row in candidates.candidates["row"]]


def test_a_purchase_brings_what_is_alike_to_it(folder: Folder) -> None:
    before = set(rows_of(folded(folder, [])))
    after = rows_of(folded(folder, [did(12)]))
    assert not before & set(range(10, 20))
    assert after.index(13) < after.index(14) if 14 in after else 13 in after
    assert {12, 13} <= set(after)


def test_what_was_bought_says_so_and_what_was_viewed_is_its_own_evidence(folder: Folder) -> None:
    fresh = folded(folder, [did(12), did(5, "view")])
    by_row = {row: (source, place) for row, _, source, place in fresh.candidates.tolist()}
    assert by_row[12] == (Source.REBUY | BOUGHT_FLAG, NO_EVIDENCE)
    source, place = by_row[5]
    assert source == Source.NEIGHBORS
    assert fresh.evidence_rows[place] == 5 | VIEWED_FLAG
    source, place = by_row[13]
    assert fresh.evidence_rows[place] == 12


@pytest.mark.parametrize("event_type", ["dismiss", "return"])
def test_what_events_speak_against_is_left_out(event_type: str, folder: Folder) -> None:
    assert 3 in rows_of(folded(folder, []))
    assert 3 not in rows_of(folded(folder, [did(3, event_type)]))


def test_events_that_say_nothing_about_items_leave_no_history(folder: Folder) -> None:
    events = [ProfileEvent("search", "", "", NOW), ProfileEvent("purchase", "unheard-of", "", NOW), did(3, "wave")]
    assert len(folder.history(events, NOW).rows) == 0


def test_an_old_event_weighs_less(folder: Folder) -> None:
    young, old = (folder.history([did(3, "view", days_ago=days)], NOW).weights for days in (0, 20))
    assert old == pytest.approx(young / 2)


def test_somebody_without_a_list_gets_one(folder: Folder) -> None:
    fresh = rows_of(folded(folder, [did(12)], None))
    assert len(fresh) == shop.LIST_SIZE
    assert {12, 13} <= set(fresh)


def test_a_fold_in_is_what_a_training_would_compute(folder: Folder) -> None:
    """Solve the equation of Hu, Koren and Volinsky without the shortcut."""
    history = folder.history([did(12), did(3, "view"), did(7, "dismiss")], NOW)
    items = shop.factors().astype(np.float64)
    confidence = np.ones(shop.ITEMS)
    confidence[history.rows] += 10.0 * np.abs(history.weights)
    liked = np.zeros(shop.ITEMS)
    liked[history.rows[history.weights > 0]] = 1
    weighted = items.T * confidence
    expected = np.linalg.solve(weighted @ items + 2.0 * np.eye(4), weighted @ liked)
    np.testing.assert_allclose(folder._vector(history), expected, rtol=1e-6)


def test_a_fold_in_is_what_implicit_computes() -> None:
    folder = Folder(shop.fold_model(), shop.items())
    history = folder.history([did(12), did(3, "view"), did(7, "dismiss")], NOW)
    items = shop.factors()
    confidence = np.copysign(1 + 10.0 * np.abs(history.weights), history.weights)
    row = csr_matrix((confidence, (np.zeros(len(history.rows), int), history.rows)), shape=(1, shop.ITEMS))
    expected = user_factor(items, items.T @ items, row, 0, 2.0, 4)
    np.testing.assert_allclose(folder._vector(history), expected, rtol=1e-4)


def test_shares_are_those_that_implicit_explains_and_add_up_to_the_score(folder: Folder) -> None:
    history = folder.history([did(12), did(3, "view"), did(7, "dismiss"), did(14)], NOW)
    with threadpool_limits(1, "blas"):
        explained = AlternatingLeastSquares(factors=4, regularization=2.0, alpha=1.0)
    explained.item_factors = shop.factors()
    confidence = np.copysign(1 + 10.0 * np.abs(history.weights), history.weights)
    row = csr_matrix((confidence, (np.zeros(len(history.rows), int), history.rows)), shape=(1, shop.ITEMS))
    for item in (13, 4, 12):
        (shares,) = folder.shares(history, np.array([item]))
        score, parts, _ = explained.explain(0, row, item)
        assert shares.sum() == pytest.approx(score, rel=1e-4)
        assert shares.sum() == pytest.approx(folder._vector(history) @ shop.factors()[item])
        assert dict(zip(history.rows.tolist(), shares.tolist(), strict=True)) == pytest.approx(
            dict.fromkeys(history.rows.tolist(), 0.0) | {int(name): float(part) for name, part in parts}, rel=1e-4
        )


@given(
    numbers=strategies.lists(
        strategies.tuples(strategies.integers(0, 19), strategies.sampled_from(["purchase", "view"]))
    ),
    data=strategies.data(),
)
def test_the_order_of_events_does_not_matter(numbers: list[tuple[int, str]], data: strategies.DataObject) -> None:
    folder = Folder(shop.fold_model(), shop.items())
    events = [did(*number) for number in numbers]
    first = folded(folder, events)
    second = folded(folder, data.draw(strategies.permutations(events)))
    assert rows_of(first) == rows_of(second)
    np.testing.assert_allclose(first.candidates["score"], second.candidates["score"], rtol=1e-3)


@given(
    rows=strategies.lists(strategies.integers(0, 19), max_size=6),
    list_size=strategies.integers(1, 25),
    data=strategies.data(),
)
def test_a_list_is_sound_whatever_happened(rows: list[int], list_size: int, data: strategies.DataObject) -> None:
    room = data.draw(strategies.integers(0, list_size))
    folder = Folder(shop.fold_model(list_size, room), shop.items())
    published = data.draw(strategies.sampled_from([ADAS, None]))
    fresh = folded(
        folder, [did(row, data.draw(strategies.sampled_from(sorted(shop.EVENTS)))) for row in rows], published
    )
    found = rows_of(fresh)
    assert len(found) == len(set(found)) <= list_size
    scores = fresh.candidates["score"].astype(float)
    assert (np.diff(scores) <= 0).all()
    assert ((scores >= 0) & (scores <= 1)).all()
    places = fresh.candidates["evidence"]
    assert ((places < len(fresh.evidence_rows)) | (places == NO_EVIDENCE)).all()
    new = (fresh.candidates["source"] & BOUGHT_FLAG) == 0
    assert new.sum() >= min(room, 10)


def test_several_customers_are_folded_as_each_alone(folder: Folder) -> None:
    histories = [folder.history([did(row)], NOW) for row in (12, 3)]
    together = folder.fold(histories, [ADAS, None])
    alone = [folder.fold([history], [base])[0] for history, base in zip(histories, [ADAS, None], strict=True)]
    assert [rows_of(one) for one in together] == [rows_of(one) for one in alone]


def test_a_large_catalogue_is_searched_where_it_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = rows_of(folded(Folder(shop.fold_model(), shop.items()), [did(12)]))
    monkeypatch.setattr(folding, "EXACT_ITEMS", 10)
    pooled = Folder(shop.fold_model(), replace(shop.items(), shared_lists={"": shop.items().shared_lists[""][:3]}))
    assert not pooled.is_exact
    history = pooled.history([did(12)], NOW)
    assert pooled.pool(history, ADAS).tolist() == [0, 1, 2, 3, 4, 12, 13, 14]
    assert rows_of(folded(pooled, [did(12)]))[:4] == exact[:4]
