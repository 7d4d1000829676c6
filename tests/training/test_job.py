"""The whole run, on shops small enough to know the answer."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from models.artifact import Artifact
from models.candidates import BOUGHT_FLAG, NO_EVIDENCE, VIEWED_FLAG, CandidateTable, Source
from models.errors import InvalidInputError
from models.fold_model import fold_model_of
from models.item_model import EVERYONE
from models.progress import SilentProgress, SilentStage
from models.registry import Registry
from tests.shop import events, item_name, write_events, write_rows
from tests.training.reading import row
from training.config import ColumnMapping, FactorSettings, Resources, TrainingConfiguration
from training.evaluation import OURS, OWN_FREQUENCY, POPULAR_NOW, comparisons_of, rows_of
from training.job import train
from training.scopes import ALL

pytestmark = pytest.mark.xdist_group("job")  # what they share is dear

SMALL = TrainingConfiguration(factors=FactorSettings(factors=16))


def train_on(path: Path, root: Path, configuration: TrainingConfiguration = SMALL, **mapping: object) -> Artifact:
    registry = Registry(root)
    columns = ColumnMapping.model_validate(mapping)
    return registry.open(train([str(path)], columns, configuration, registry).manifest.model_version)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_events(tmp_path_factory.mktemp("shop") / "events.parquet", customers=120, items=40)


@pytest.fixture(scope="module")
def artifact(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return train_on(shop, tmp_path_factory.mktemp("registry"), segments=("segment",))


@pytest.fixture(scope="module")
def lists(artifact: Artifact) -> CandidateTable:
    return next(artifact.lists())


def test_every_customer_gets_an_outlook(lists: CandidateTable) -> None:
    assert lists.outlooks is not None
    assert (lists.outlooks["recency"] > 0).all()
    assert ((lists.outlooks["churn_risk"] > 0) & (lists.outlooks["churn_risk"] < 1)).all()
    assert (lists.outlooks["value"] > 0).all()


@pytest.mark.parametrize("size", [8, 20, 50])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_withheld_diagonal_of_a_checkerboard_is_recommended(tmp_path: Path, size: int, seed: int) -> None:
    """Customers and items of the same parity meet, except on the diagonal: the one new item that fits."""
    board = [
        row(f"c{customer:03d}", f"i{item:03d}")
        for customer in range(size)
        for item in range(size)
        if (customer + item) % 2 == 0 and customer != item
    ]
    configuration = TrainingConfiguration(seed=seed, factors=FactorSettings(factors=8, first_sweeps=15))
    artifact = train_on(write_rows(tmp_path / "board.csv", board), tmp_path / "models", configuration)
    table = next(artifact.lists())
    for customer in range(size):
        candidates = table.list_at(customer).candidates
        new = candidates["row"][candidates["source"] < BOUGHT_FLAG]
        assert new[0] == customer


def test_the_same_input_and_seed_give_the_same_bytes(shop: Path, tmp_path: Path, artifact: Artifact) -> None:
    one_thread = SMALL.model_copy(update={"resources": Resources(threads=1)})
    again = train_on(shop, tmp_path, one_thread, segments=("segment",))
    assert again.manifest == artifact.manifest


def test_another_seed_gives_another_model(shop: Path, tmp_path: Path, artifact: Artifact) -> None:
    other = train_on(shop, tmp_path, SMALL.model_copy(update={"seed": 2}), segments=("segment",))
    assert other.manifest.model_version != artifact.manifest.model_version


def test_csv_and_parquet_of_the_same_events_give_the_same_model(shop: Path, tmp_path: Path, artifact: Artifact) -> None:
    path = write_events(tmp_path / "events.csv.gz", customers=120, items=40)
    other = train_on(path, tmp_path / "models", segments=("segment",))
    assert other.manifest.model_version == artifact.manifest.model_version


def test_workers_can_make_candidates_fresh_with_what_the_manifest_tells(artifact: Artifact) -> None:
    told = artifact.manifest.metrics["fold"]
    model = fold_model_of(artifact)
    assert model is not None
    assert asdict(model.weights) == told["weights"]
    assert min(told["customers"], told["purchases"]) > 20


def test_the_manifest_counts_what_was_read(artifact: Artifact) -> None:
    counts = artifact.manifest.counts
    assert (counts["events"], counts["customers"], counts["items"], counts["refused"]) == (120 * 36, 120, 40, 0)
    assert artifact.manifest.last_event_time < datetime.fromisoformat("2025-06-30T00:00:00+00:00")


def test_everyone_has_a_list_in_the_order_of_ids(lists: CandidateTable) -> None:
    assert lists.customer_ids == sorted(lists.customer_ids)
    assert len(lists) == 120
    assert (lists.counts > 0).all()


def test_lists_name_no_item_twice_and_the_best_first(lists: CandidateTable) -> None:
    for index in range(len(lists)):
        candidates = lists.list_at(index).candidates
        assert len(set(candidates["row"].tolist())) == len(candidates)
        assert (np.diff(candidates["score"].astype(np.float32)) <= 0).all()


def test_the_taste_of_the_customer_leads_the_list(artifact: Artifact, lists: CandidateTable) -> None:
    vocabulary = artifact.items().vocabulary
    for index, customer in enumerate(lists.customer_ids):
        taste = int(customer[-5:]) % 4
        names = [vocabulary.id_of(int(item)) for item in lists.list_at(index).candidates["row"][:10]]
        assert names
        assert {int(name[-4:]) % 4 for name in names} == {taste}


def test_what_was_bought_is_flagged_and_nothing_else(shop: Path, artifact: Artifact, lists: CandidateTable) -> None:
    vocabulary = artifact.items().vocabulary
    bought = {
        (event["customer_id"], event["item_id"]) for event in events(120, 40) if event["event_type"] == "purchase"
    }
    for index, customer in enumerate(lists.customer_ids):
        for candidate in lists.list_at(index).candidates:
            is_flagged = bool(candidate["source"] & BOUGHT_FLAG)
            assert is_flagged == ((customer, vocabulary.id_of(int(candidate["row"]))) in bought)


def test_evidence_is_something_the_customer_did(artifact: Artifact, lists: CandidateTable) -> None:
    vocabulary = artifact.items().vocabulary
    done = {(event["customer_id"], event["item_id"], event["event_type"]) for event in events(120, 40)}
    checked = 0
    for index, customer in enumerate(lists.customer_ids):
        own = lists.list_at(index)
        for place in own.candidates["evidence"][own.candidates["evidence"] != NO_EVIDENCE]:
            evidence = int(own.evidence_rows[place])
            event_type = "view" if evidence & VIEWED_FLAG else "purchase"
            assert (customer, vocabulary.id_of(evidence & ~VIEWED_FLAG), event_type) in done
            checked += 1
    assert checked > 0


def test_the_unknown_get_the_list_of_their_segment(artifact: Artifact) -> None:
    model = artifact.items()
    assert set(model.shared_lists) == {EVERYONE, "taste-0", "taste-1", "taste-2", "taste-3"}
    names = [model.vocabulary.id_of(int(item)) for item in model.shared_lists["taste-2"]["row"][:10]]
    assert sorted(names) == [item_name(number) for number in range(2, 40, 4)]
    assert set(model.shared_lists["taste-2"]["source"].tolist()) == {Source.SEGMENT}
    assert set(model.shared_lists[EVERYONE]["source"].tolist()) == {Source.POPULAR}


def test_neighbors_share_the_taste(artifact: Artifact) -> None:
    model = artifact.items()
    rows, scores = model.neighbors_of(5)
    assert {int(row) % 4 for row in rows[:5]} == {5 % 4}
    assert ((scores > 0) & (scores <= 1)).all()


def test_the_evaluation_stands_beside_the_trivial_lists_and_beats_them(artifact: Artifact) -> None:
    rows = {(line.lists, line.scope): line.values for line in rows_of(artifact.manifest.metrics["evaluation"])}
    ours = rows[OURS, ALL]["ndcg@10"]
    assert ours > rows[OWN_FREQUENCY, ALL]["ndcg@10"]
    assert ours > rows[POPULAR_NOW, ALL]["ndcg@10"]


def test_a_difference_to_the_trivial_lists_says_how_far_it_may_be_chance(artifact: Artifact) -> None:
    [found] = [
        comparison
        for comparison in comparisons_of(artifact.manifest.metrics["evaluation"])
        if (comparison.against, comparison.scope, comparison.metric) == (POPULAR_NOW, ALL, "ndcg@20")
    ]
    assert 0 < found.interval[0] < found.difference < found.interval[1]
    assert found.chance < 0.01


def test_several_windows_judge_one_before_the_other(shop: Path, tmp_path: Path) -> None:
    configuration = SMALL.model_copy(update={"evaluation_windows": 3, "holdout_days": 20})
    evaluation = train_on(shop, tmp_path, configuration).manifest.metrics["evaluation"]
    windows = [part["window"] for part in (*evaluation["earlier_windows"], evaluation)]
    assert [window["stop_time"] for window in windows[:-1]] == [window["first_time"] for window in windows[1:]]
    assert len(windows) == 3


def test_what_the_model_was_judged_by_is_kept_beside_it(artifact: Artifact) -> None:
    backtest, evaluation = artifact.backtest(), artifact.manifest.metrics["evaluation"]
    assert backtest is not None
    assert len(backtest.customer_ids) == evaluation["customers_evaluated"]
    assert set(backtest.customer_ids) <= set(next(artifact.lists()).customer_ids)
    assert backtest.lists.shape == (len(backtest.customer_ids), SMALL.list_size)


def test_the_evaluation_says_how_many_were_sampled(shop: Path, tmp_path: Path) -> None:
    configuration = SMALL.model_copy(update={"evaluation_customers": 10})
    evaluation = train_on(shop, tmp_path, configuration).manifest.metrics["evaluation"]
    assert evaluation["customers_evaluated"] == 10
    assert evaluation["customers_in_window"] > 10


def test_until_learns_before_and_judges_after(shop: Path, tmp_path: Path) -> None:
    until = datetime.fromisoformat("2025-05-01T00:00:00+00:00")
    manifest = train_on(shop, tmp_path, SMALL.model_copy(update={"until": until})).manifest
    assert manifest.last_event_time < until
    assert manifest.metrics["evaluation"]["window"]["first_time"] == until.isoformat()


def test_until_before_every_event_is_a_clear_error(shop: Path, tmp_path: Path) -> None:
    until = datetime.fromisoformat("2001-01-01T00:00:00+00:00")
    with pytest.raises(InvalidInputError, match="until: lies before every event"):
        train_on(shop, tmp_path / "models", SMALL.model_copy(update={"until": until}))
    assert list((tmp_path / "models").iterdir()) == []


def test_a_single_event_makes_a_model(tmp_path: Path) -> None:
    artifact = train_on(write_rows(tmp_path / "one.csv", [row("a", "x")]), tmp_path / "models")
    assert next(artifact.lists()).list_at(0).candidates["row"].tolist() == [0]


def test_views_alone_make_a_model(tmp_path: Path) -> None:
    rows = [row(f"c{number % 9}", f"i{number % 7}", number % 50, "view") for number in range(200)]
    artifact = train_on(write_rows(tmp_path / "views.csv", rows), tmp_path / "models")
    assert len(artifact.items().shared_lists[EVERYONE]) == 7
    assert artifact.manifest.metrics["evaluation"] == {}


def test_what_was_returned_is_not_proposed(tmp_path: Path) -> None:
    rows = [*events(40, 20), row("customer-00000", "item-0001", 9), row("customer-00000", "item-0001", 8, "return")]
    artifact = train_on(write_rows(tmp_path / "a.jsonl", rows), tmp_path / "models")
    assert 1 not in next(artifact.lists()).list_at(0).candidates["row"]


def test_progress_is_told_stage_by_stage(shop: Path, tmp_path: Path) -> None:
    stages: list[str] = []

    class Watching(SilentProgress):
        def stage(self, name: str, total: int | None) -> SilentStage:
            stages.append(name)
            return super().stage(name, total)

    train([str(shop)], ColumnMapping(), SMALL, Registry(tmp_path), Watching())
    assert list(dict.fromkeys(stages)) == ["read", "number", "load", "fit", "blend", "replay", "evaluate", "lists"]


def test_nothing_is_left_behind(shop: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    resources = Resources(temporary_directory=scratch, threads=1)
    train_on(shop, tmp_path / "models", SMALL.model_copy(update={"resources": resources}))
    assert list(scratch.iterdir()) == []
