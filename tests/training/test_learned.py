"""The learned ranker: what it may know at a moment, what it learns, and that its reasons are true."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from models.artifact import Artifact
from models.candidates import BOUGHT_FLAG, NO_EVIDENCE, VIEWED_FLAG, Source
from models.errors import InvalidInputError
from models.fold_model import fold_model_of
from models.folding import Folder
from models.profile import ProfileEvent
from models.registry import Registry
from tests.shop import write_events, write_rows
from tests.training.reading import NOON, read_files, row
from training.attributes import read_attributes
from training.config import (
    ColumnMapping,
    FactorSettings,
    ItemTable,
    LearnedSettings,
    LearnedSource,
    Resources,
    TrainingConfiguration,
)
from training.job import train
from training.learned.families import FAMILY_FEATURES
from training.learned.frames import Frame, FrameSizes, features_of, frame_of
from training.learned.log import EventLog, load_log
from training.learned.models import MODELS
from training.learned.moment import Moment, moment_at
from training.learned.pairs import NEVER, matrix_at, pairs_at
from training.learned.trees import STEP, Examples, TreeSettings, grow

pytestmark = pytest.mark.xdist_group("learned")  # what they share is dear

DAY = 86_400
CUT = int(NOON.timestamp())
SMALL = TrainingConfiguration(
    ranker="learned",
    factors=FactorSettings(factors=8),
    learned=LearnedSettings(binary_rounds=20, pairwise_rounds=20),
)
SIZES = FrameSizes(own=50, found=50)
FEATURES = features_of(SMALL.learned.sources)


@contextmanager
def log_of(folder: Path, rows: list[dict[str, Any]], items: list[dict[str, Any]] | None = None) -> Iterator[EventLog]:
    path = write_rows(folder / "events.csv", rows)
    table = ItemTable(path=write_rows(folder / "items.csv", items)) if items else None
    with read_files(path) as (store, summary, _):
        attributes = read_attributes(store, ColumnMapping(items=table), summary)
        yield load_log(store, TrainingConfiguration(), (summary.customers, summary.items), attributes)


def frame_at(log: EventLog, cut: int, *, sources: Sequence[str] | None = None) -> tuple[Moment, Frame]:
    learned = {} if sources is None else {"sources": sources}
    moment = moment_at(log, cut, 30 * DAY, TrainingConfiguration.model_validate({"learned": learned}))
    return moment, frame_of(moment, np.arange(log.customers), SIZES)


def crowd(later: bool = False) -> list[dict[str, Any]]:
    """Let six customers buy bread and butter, six beer and chips, over some months; and more of it after noon."""
    rows = [
        row(f"{pair[0]}{number}", item, days + number)
        for pair in (("bread", "butter"), ("beer", "chips"))
        for number in range(6)
        for item in pair
        for days in (5, 40, 75, 110, 150)
    ]
    rows += [row("new", "bread", 3), row("new", "beer", 4, "view"), row("zoe", "chips", 100)]
    return [*rows, *(row(f"bread{number}", "chips", -1 - number) for number in range(6))] if later else rows


def test_pairs_tell_how_often_how_long_ago_and_how_regularly(tmp_path: Path) -> None:
    rows = [row("a", "x", days) for days in (10, 40, 70)] + [row("a", "y", 5, "view"), row("b", "x", 1)]
    with log_of(tmp_path, rows) as log:
        pairs = pairs_at(log, CUT, 90)
    assert pairs.starts.tolist() == [0, 2, 3]
    assert pairs.count.tolist() == [3, 0, 1]
    assert pairs.last_age.tolist() == pytest.approx([10, NEVER, 1])
    assert pairs.first_age.tolist() == pytest.approx([70, NEVER, 1])
    assert pairs.decayed[0, 2] == pytest.approx(sum(0.5 ** (days / 120) for days in (10, 40, 70)), rel=1e-5)
    assert pairs.attention.tolist() == pytest.approx([0, 0.1 * 0.5 ** (5 / 20), 0], rel=1e-5)


def test_a_pair_that_the_events_speak_against_is_no_candidate(tmp_path: Path) -> None:
    rows = [*crowd(), row("zoe", "chips", 2, "return"), row("zoe", "chips", 1, "dismiss")]
    with log_of(tmp_path, rows) as log:
        moment, frame = frame_at(log, CUT)
    chips = 3
    zoe = log.customers - 1
    assert moment.pairs.liking[moment.pairs.starts[zoe]] < 0
    assert chips not in frame.item_rows[frame.owners == zoe]


def test_a_moment_knows_nothing_of_what_comes_after_it(tmp_path: Path) -> None:
    for name in ("short", "long"):
        (tmp_path / name).mkdir()
    with log_of(tmp_path / "short", crowd()) as short, log_of(tmp_path / "long", crowd(later=True)) as long:
        before, after = (frame_at(log, CUT)[1] for log in (short, long))
    assert before.item_rows.tolist() == after.item_rows.tolist()
    assert before.features.tobytes() == after.features.tobytes()


def test_a_frame_holds_no_item_twice_and_only_finite_features(tmp_path: Path) -> None:
    with log_of(tmp_path, crowd()) as log:
        _, frame = frame_at(log, CUT)
    keys = (frame.owners << 32) | frame.item_rows
    assert len(np.unique(keys)) == len(keys)
    assert (np.diff(frame.owners) >= 0).all()
    assert frame.features.shape == (len(keys), len(FEATURES))
    assert np.isfinite(frame.features).all()


def test_each_customer_is_described_by_themselves(tmp_path: Path) -> None:
    with log_of(tmp_path, crowd()) as log:
        moment, together = frame_at(log, CUT)
        alone = frame_of(moment, np.array([7]), SIZES)
    assert np.allclose(alone.features, together.features[together.owners == 7], atol=1e-6)


ITEMS = [
    {"item_id": item, "category": category}
    for category, items in (("bakery", ("bread", "butter", "roll")), ("snacks", ("chips", "salt")))
    for item in items
]


def test_what_a_table_says_of_items_finds_one_that_hardly_anybody_bought(tmp_path: Path) -> None:
    rows = [*crowd(), row("zoe", "roll", 2), row("adam", "salt", 2)]
    with log_of(tmp_path, rows, ITEMS) as log:
        _, frame = frame_at(log, CUT, sources=("content",))
    roll, salt = 4, 5
    baker, drinker = 7, 1  # of those who buy bread and butter, and of those who buy beer and chips
    assert frame.item_rows[(frame.owners == baker) & frame.is_found()].tolist() == [roll]
    assert frame.item_rows[(frame.owners == drinker) & frame.is_found()].tolist() == [salt]


def test_a_family_tells_what_else_of_it_was_bought_how_long_ago(tmp_path: Path) -> None:
    rows = [*crowd(), row("zoe", "roll", 2)]
    with log_of(tmp_path, rows, ITEMS) as log:
        moment, _ = frame_at(log, CUT)
    baker, bread, butter, roll = 7, 1, 2, 4
    pairs, own = moment.pairs, moment.pairs.starts[baker]
    decayed = pairs.decayed[[own, own, own + 1], 2] * (0, 1, 1)
    described = moment.families.describe(np.full(3, baker), np.array([roll, bread, butter]), decayed)
    told = dict(zip(FAMILY_FEATURES, described.T.tolist(), strict=True))
    assert told["family-others"] == pytest.approx(np.log1p(decayed.sum() - decayed), rel=1e-5)
    assert told["family-since"] == pytest.approx([np.log1p(pairs.last_age[own])] * 3, rel=1e-5)
    assert told["family-items"] == pytest.approx([np.log1p(2)] * 3)
    assert told["family-share"] == pytest.approx([1] * 3)
    assert sum(told["family-recent-part"]) == pytest.approx(1)


def test_sources_that_are_left_out_say_nothing(tmp_path: Path) -> None:
    with log_of(tmp_path, crowd(), ITEMS) as log:
        _, frame = frame_at(log, CUT, sources=())
    said = [name for name in features_of(()) if name.removesuffix("-part") in get_args(LearnedSource)]
    assert said == ["trend-part"]
    assert not frame.features[:, features_of(()).index("trend-part")].any()
    assert not frame.is_found().any()


@pytest.mark.parametrize("name", MODELS)
def test_each_model_alone_finds_items_and_describes_them(name: LearnedSource, tmp_path: Path) -> None:
    with log_of(
        tmp_path, [*crowd(), *(row(f"bread{number}", "roll", 2) for number in range(3)), row("adam", "salt", 2)], ITEMS
    ) as log:
        _, frame = frame_at(log, CUT, sources=(name,))
    names = features_of((name,))
    assert frame.features.shape[1] == len(names)
    assert np.isfinite(frame.features).all()
    found = frame.features[frame.is_found()]
    assert len(found) > 0
    assert (found[:, names.index(f"{name}-part")] > 0).all()


def test_whatever_a_configuration_may_choose_is_a_model_or_the_trend() -> None:
    assert {*MODELS, "trend"} == set(get_args(LearnedSource))


def test_what_is_bought_with_an_item_is_found_by_whoever_bought_it_lately(tmp_path: Path) -> None:
    rows = [row(f"c{number}", item, number + 1) for number in range(4) for item in ("pasta", "sauce")]
    rows += [row(f"d{number}", item, days) for number in range(4) for item, days in (("pasta", 9), ("soap", 20))]
    with log_of(tmp_path, [*rows, row("zoe", "pasta", 1)]) as log:
        _, frame = frame_at(log, CUT, sources=("complementary",))
    _, sauce, _ = range(3)
    assert frame.item_rows[(frame.owners == log.customers - 1) & frame.is_found()].tolist() == [sauce]


def test_histories_keep_the_largest_cells(tmp_path: Path) -> None:
    rows = [row("a", f"i{number}", days) for number in range(4) for days in range(1, 2 + number)]
    with log_of(tmp_path, rows) as log:
        matrix = matrix_at(log, CUT, 120, np.arange(4), longest=2)
    assert matrix.indices.tolist() == [2, 3]


def learn(path: Path, root: Path, configuration: TrainingConfiguration = SMALL) -> Artifact:
    registry = Registry(root)
    return registry.open(train([str(path)], ColumnMapping(), configuration, registry).manifest.model_version)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_events(tmp_path_factory.mktemp("shop") / "events.parquet", customers=90, items=40)


@pytest.fixture(scope="module")
def artifact(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return learn(shop, tmp_path_factory.mktemp("registry"))


def test_the_same_events_give_the_same_bytes_on_any_number_of_threads(
    shop: Path, artifact: Artifact, tmp_path: Path
) -> None:
    one_thread = SMALL.model_copy(update={"resources": Resources(threads=1)})
    assert learn(shop, tmp_path, one_thread).manifest.model_version == artifact.manifest.model_version


def test_another_seed_gives_another_model(shop: Path, artifact: Artifact, tmp_path: Path) -> None:
    other = learn(shop, tmp_path, SMALL.model_copy(update={"seed": 2}))
    assert other.manifest.model_version != artifact.manifest.model_version


def test_lists_are_full_best_first_and_hold_nothing_twice(artifact: Artifact) -> None:
    table = next(artifact.lists())
    for customer in range(len(table)):
        candidates = table.list_at(customer).candidates
        assert len(candidates) == len(set(candidates["row"].tolist())) == 40
        assert (np.diff(candidates["score"].astype(np.float32)) <= 0).all()


@pytest.mark.parametrize("sources", [SMALL.learned.sources, get_args(LearnedSource)])
def test_reasons_are_true(sources: Sequence[LearnedSource], shop: Path, tmp_path: Path) -> None:
    """Bought means bought, evidence is an item of the history, and what was only viewed says so."""
    chosen_sources = SMALL.learned.model_copy(update={"sources": sources})
    artifact = learn(shop, tmp_path, SMALL.model_copy(update={"learned": chosen_sources}))
    with read_files(shop) as (store, _, _):
        met = store.table("SELECT DISTINCT customer, item, type FROM events")
    weights = list(TrainingConfiguration().event_weights())
    bought = {(c, i) for c, i, kind in zip(*met.values(), strict=True) if weights[kind] == "purchase"}
    everything = {(c, i) for c, i, _ in zip(*met.values(), strict=True)}
    table = next(artifact.lists())
    told = 0
    for customer in range(len(table)):
        chosen = table.list_at(customer)
        for item, _, source, evidence in chosen.candidates.tolist():
            assert bool(source & BOUGHT_FLAG) == ((customer, item) in bought)
            assert (source & ~BOUGHT_FLAG == Source.REBUY) == ((customer, item) in bought)
            if evidence != NO_EVIDENCE:
                told += 1
                speaks = int(chosen.evidence_rows[evidence])
                pair = (customer, speaks & ~VIEWED_FLAG)
                assert pair in everything
                assert bool(speaks & VIEWED_FLAG) == (pair not in bought)
    assert told > 0


def test_the_manifest_tells_what_was_learned(artifact: Artifact) -> None:
    told = artifact.manifest.metrics["ranker"]
    assert told["kind"] == "learned"
    assert set(told["importances"]) == set(FEATURES)
    assert sum(told["importances"].values()) == pytest.approx(1, abs=0.01)
    assert len(told["examples"]) >= 2
    learned, later = told["losses"]["learned"], told["losses"]["later"]
    assert len(learned) == len(later) == -(-artifact.manifest.configuration["learned"]["binary_rounds"] // STEP)
    assert learned[-1] < learned[0]
    assert later[-1] < later[0]


def test_workers_can_make_lists_of_trees_fresh(artifact: Artifact) -> None:
    model = fold_model_of(artifact)
    assert model is not None
    assert artifact.manifest.metrics["fold"]["purchases"] > 0
    items = artifact.items()
    folder = Folder(model, items)
    now = artifact.manifest.last_event_time
    published = next(artifact.lists()).list_at(0)
    bought = int(published.candidates["row"][-1])
    history = folder.history([ProfileEvent("purchase", items.vocabulary.id_of(bought), "", now)], now)
    [fresh] = folder.fold([history], [published])
    assert fresh.candidates["row"].tolist().index(bought) < len(published.candidates) - 1


def test_the_artifact_says_what_scores_mean(artifact: Artifact) -> None:
    propensity = artifact.items().propensity
    assert propensity is not None
    assert propensity.is_sound()
    assert propensity.of(1.0) > propensity.of(0.01)


def test_a_rough_and_a_whole_look_at_the_same_time_do_not_disturb_each_other() -> None:
    randomness = np.random.default_rng(1)
    features = randomness.random((6_000, len(FEATURES)), dtype=np.float32)
    labels = features[:, 0] + features[:, 1] > 1
    examples = Examples(features, labels, labels.astype(np.float32), np.full(60, 100))
    trees = grow(examples, FEATURES, TreeSettings(60, 5, 0.0, 0.0, seed=1))
    looks = (trees.first_look, trees.scores)
    alone = [look(features).tobytes() for look in looks]
    assert alone[0] != alone[1]
    with ThreadPoolExecutor(2) as threads:
        together = list(threads.map(lambda number: looks[number % 2](features).tobytes(), range(40)))
    assert together == alone * 20


def test_a_first_look_keeps_what_will_rank_high() -> None:
    """Whether something is bought is chance; what it is worth, a feature tells."""
    randomness = np.random.default_rng(1)
    features = randomness.random((6_000, len(FEATURES)), dtype=np.float32)
    bought, dear = randomness.random(6_000) < 0.3, features[:, 1] > 0.5
    examples = Examples(features, bought, np.where(dear, 10, 1).astype(np.float32) * bought, np.full(60, 100))

    def lead(revenue_mix: float) -> float:
        look = grow(examples, FEATURES, TreeSettings(30, 5, revenue_mix, 0.0, seed=1)).first_look(features)
        return float(look[dear].mean() - look[~dear].mean())

    assert abs(lead(0.0)) < 0.1
    assert lead(0.5) == pytest.approx((lead(0.0) + lead(1.0)) / 2, abs=0.01)
    assert lead(1.0) > 0.5


def test_a_revenue_mix_moves_dear_items_up(shop: Path, artifact: Artifact, tmp_path: Path) -> None:
    settings = SMALL.learned.model_copy(update={"revenue_mix": 1.0})
    dear = learn(shop, tmp_path, SMALL.model_copy(update={"learned": settings}))

    def mean_of_the_first(model: Artifact) -> float:
        return float(next(model.lists()).candidates["row"][:, :5].mean())  # an item's price grows with its number

    assert mean_of_the_first(dear) > mean_of_the_first(artifact)


def test_auto_takes_the_blend_for_a_small_shop_and_says_why(shop: Path, tmp_path: Path) -> None:
    small = learn(shop, tmp_path, SMALL.model_copy(update={"ranker": "auto"}))
    told = small.manifest.metrics["ranker"]
    assert told["kind"] == "blend"
    assert told["not_learned"] == "there are 2,160 target events, fewer than 10,000"


def test_auto_takes_the_blend_where_no_window_teaches_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.learned.tree_learner.LEAST_TARGET_EVENTS", 20)
    rows = [row(f"c{number}", f"i{number % 3}", days, "view") for number in range(9) for days in range(0, 240, 20)]
    rows += [row(f"c{number}", f"i{number % 4}", days) for number in range(9) for days in (1, 2, 3)]
    young = learn(write_rows(tmp_path / "young.csv", rows), tmp_path / "models", TrainingConfiguration())
    told = young.manifest.metrics["ranker"]
    assert told["kind"] == "blend"
    assert told["not_learned"] == "too little was bought before the cut to learn from"


def test_trees_asked_for_and_impossible_are_refused(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "one.csv", [row("a", "x")])
    with pytest.raises(InvalidInputError, match=r"ranker.*label windows"):
        learn(path, tmp_path / "models")
