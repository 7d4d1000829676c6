"""One contract for every candidate source, and what each of them alone must do."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.candidates import VIEWED_FLAG, Source
from tests.shop import events
from tests.training.reading import interactions_of, row
from tests.training.scorers import SCORERS
from training.als import Factors, best_items, fit, random_factors
from training.chunk import Chunk, chunk_of
from training.config import FactorSettings
from training.interactions import Interactions
from training.sources.collaborative import Collaborative
from training.sources.neighbors import Neighbors, learn_neighbors
from training.sources.popular import Popular
from training.sources.rebuy import Rebuy
from training.sources.scorer import Scored, histories_of
from training.sources.source import NOTHING, CandidateSource
from training.sources.trending import trending

SETTINGS = FactorSettings(factors=8, regularization=0.1)


def factors_of(interactions: Interactions, sweeps: int = 10) -> Factors:
    start = random_factors((interactions.customers, interactions.items), SETTINGS, seed=1)
    return fit(interactions.matrix, start, SETTINGS, sweeps, threads=1)


def neighbors_of(interactions: Interactions, width: int = 7) -> Neighbors:
    return Neighbors(learn_neighbors(interactions, count=5, seed=1, threads=1), width)


def scored_by(name: str) -> Callable[[Interactions], CandidateSource]:
    """Let a model that scores the whole catalogue propose."""

    def source(interactions: Interactions) -> CandidateSource:
        liked = histories_of(chunk_of(interactions, np.arange(interactions.customers)))
        return Scored(SCORERS[name](liked, 1, 1), 7)

    return source


SOURCES: dict[str, Callable[[Interactions], CandidateSource]] = {
    "rebuy": lambda interactions: Rebuy(7),
    "collaborative": lambda interactions: Collaborative(factors_of(interactions), 7),
    "neighbors": neighbors_of,
    "popular": lambda interactions: Popular(interactions.recent_buyers, 7),
    "trending": lambda interactions: trending(interactions, 7),
    **{name: scored_by(name) for name in SCORERS},
}
NAMES = {"trending": Source.POPULAR} | dict.fromkeys(SCORERS, Source.COLLABORATIVE)
NAMES |= {source.name.lower(): source for source in Source}


@pytest.fixture(scope="module")
def interactions(tmp_path_factory: pytest.TempPathFactory) -> Interactions:
    newcomer = row("zz-newcomer", "item-0001", days_ago=-1, event_id="later")
    june = [event for event in events(30, 20) if event["event_time"] < "2025-06-01"]
    return interactions_of(tmp_path_factory.mktemp("shop"), [*june, {**june[0], **newcomer}])


@pytest.fixture(scope="module")
def everyone(interactions: Interactions) -> Chunk:
    return chunk_of(interactions, np.arange(interactions.customers))


@pytest.mark.parametrize("name", SOURCES)
class TestEverySource:
    def test_names_itself(self, name: str, interactions: Interactions) -> None:
        assert SOURCES[name](interactions).source is NAMES[name]

    def test_proposes_rectangles_of_its_width(self, name: str, interactions: Interactions, everyone: Chunk) -> None:
        proposals = SOURCES[name](interactions).propose(everyone)
        for array in (proposals.item_rows, proposals.scores, proposals.evidence):
            assert array.shape == (interactions.customers, 7)

    def test_proposes_only_items_that_exist(self, name: str, interactions: Interactions, everyone: Chunk) -> None:
        rows = SOURCES[name](interactions).propose(everyone).item_rows
        assert rows.min() >= NOTHING
        assert rows.max() < interactions.items
        assert (rows[:30] != NOTHING).any(axis=1).all()

    def test_proposes_no_item_twice(self, name: str, interactions: Interactions, everyone: Chunk) -> None:
        for rows in SOURCES[name](interactions).propose(everyone).item_rows:
            named = rows[rows != NOTHING]
            assert len(set(named.tolist())) == len(named)

    def test_puts_the_best_first_and_nothing_last(self, name: str, interactions: Interactions, everyone: Chunk) -> None:
        proposals = SOURCES[name](interactions).propose(everyone)
        assert np.isfinite(proposals.scores).all()
        for rows, scores in zip(proposals.item_rows, proposals.scores, strict=True):
            count = int((rows != NOTHING).sum())
            assert (rows[count:] == NOTHING).all()
            assert (np.diff(scores[:count]) <= 0).all()

    def test_is_deterministic(self, name: str, interactions: Interactions, everyone: Chunk) -> None:
        first, second = (SOURCES[name](interactions).propose(everyone) for _ in range(2))
        assert np.array_equal(first.item_rows, second.item_rows)
        assert np.array_equal(first.scores, second.scores)
        assert np.array_equal(first.evidence, second.evidence)

    def test_judges_each_customer_alone(self, name: str, interactions: Interactions, everyone: Chunk) -> None:
        source = SOURCES[name](interactions)
        together = source.propose(everyone).item_rows[11]
        alone = source.propose(chunk_of(interactions, np.array([11]))).item_rows[0]
        assert together.tolist() == alone.tolist()

    def test_offers_a_newcomer_nothing_but_what_is_popular(self, name: str, interactions: Interactions) -> None:
        newcomer = chunk_of(interactions, np.array([interactions.customers - 1]))
        rows = SOURCES[name](interactions).propose(newcomer).item_rows
        assert (rows != NOTHING).any() == (name in {"popular", "trending"})


def test_rebuy_puts_the_frequent_and_recent_first(tmp_path: Path) -> None:
    rows = [row("a", "once-lately", 2), *[row("a", "often", day) for day in (3, 9)], row("a", "once-long-ago", 200)]
    interactions = interactions_of(tmp_path, rows)
    proposals = Rebuy(5).propose(chunk_of(interactions, np.array([0])))
    assert proposals.item_rows[0].tolist() == [0, 1, 2, NOTHING, NOTHING]


def test_rebuy_marks_what_was_only_viewed(tmp_path: Path) -> None:
    interactions = interactions_of(tmp_path, [row("a", "bought"), row("a", "viewed", event_type="view")])
    proposals = Rebuy(2).propose(chunk_of(interactions, np.array([0])))
    assert proposals.evidence[0].tolist() == [NOTHING, 1 | VIEWED_FLAG]


def test_rebuy_leaves_out_what_was_returned(tmp_path: Path) -> None:
    interactions = interactions_of(tmp_path, [row("a", "x", 3), row("a", "x", 1, "return"), row("a", "y")])
    assert Rebuy(2).propose(chunk_of(interactions, np.array([0]))).item_rows[0].tolist() == [1, NOTHING]


def test_neighbors_name_the_item_that_contributed_most(tmp_path: Path) -> None:
    rows = [row(f"c{number}", item) for number in range(6) for item in ("bread", "butter")]
    rows += [row(f"d{number}", item) for number in range(6) for item in ("beer", "chips")]
    rows += [row("me", "beer", event_type="view"), row("me", "bread")]
    interactions = interactions_of(tmp_path, rows)
    me = chunk_of(interactions, np.array([interactions.customers - 1]))
    proposals = neighbors_of(interactions).propose(me)
    beer, bread, butter, chips = range(4)
    evidence = dict(zip(proposals.item_rows[0].tolist(), proposals.evidence[0].tolist(), strict=True))
    assert evidence[butter] == bread
    assert evidence[chips] == beer | VIEWED_FLAG


def test_a_customer_who_bought_everything_tells_a_bounded_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row(f"c{number}", item) for number in range(6) for item in ("bread", "butter")]
    rows += [row("robot", item) for item in ("bread", "butter", *(f"item-{number}" for number in range(60)))]
    interactions = interactions_of(tmp_path, rows)
    monkeypatch.setattr("training.sources.neighbors.MAXIMAL_HISTORY", 10)
    neighbors = learn_neighbors(interactions, count=80, seed=1, threads=1)
    assert neighbors.rows[0, 0] == 1
    assert neighbors.counts.max() <= 25


def test_popular_counts_the_window_only(tmp_path: Path) -> None:
    rows = [row(f"c{number}", "old-hit", 90) for number in range(9)] + [row("a", "new"), row("b", "new")]
    interactions = interactions_of(tmp_path, rows)
    proposals = Popular(interactions.recent_buyers, 5).propose(chunk_of(interactions, np.array([0])))
    assert proposals.item_rows[0].tolist() == [0, NOTHING, NOTHING, NOTHING, NOTHING]


def test_trending_puts_what_grows_before_what_only_sells(tmp_path: Path) -> None:
    rows = [row(f"c{number}", "always", days) for number in range(12) for days in (10, 40)]
    rows += [row(f"c{number}", "rising", 5) for number in range(8)] + [row("c0", "novelty", 1)]
    interactions = interactions_of(tmp_path, rows)
    proposals = trending(interactions, 3).propose(chunk_of(interactions, np.array([0])))
    always, novelty, rising = range(3)
    assert proposals.item_rows[0].tolist() == [rising, always, novelty]


def test_best_items_never_pad_beyond_the_catalogue() -> None:
    rows, scores = best_items(np.eye(3, dtype=np.float32), np.ones((2, 3), dtype=np.float32), 10)
    assert rows.shape == scores.shape == (2, 3)
    assert sorted(rows[0].tolist()) == [0, 1, 2]


def test_a_dislike_lowers_the_score(interactions: Interactions) -> None:
    liked = interactions.matrix.copy()
    cell = int(liked.indptr[3])
    before = factors_of(interactions)
    liked.data[cell] *= -1
    start = random_factors((interactions.customers, interactions.items), SETTINGS, seed=1)
    after = fit(liked, start, SETTINGS, 10, threads=1)
    item = int(liked.indices[cell])
    assert after.customers[3] @ after.items[item] < before.customers[3] @ before.items[item]


def test_the_fit_does_not_depend_on_the_number_of_threads(interactions: Interactions) -> None:
    start = [random_factors((interactions.customers, interactions.items), SETTINGS, seed=1) for _ in range(2)]
    one, two = (fit(interactions.matrix, start[n], SETTINGS, 5, threads=n + 1) for n in range(2))
    assert np.array_equal(one.items, two.items)
    assert np.array_equal(one.customers, two.customers)
