"""The estimator: what goes in, what comes out, and that it is the training job and nothing else."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.parquet
import pytest

from models.erasures import Erasure, ErasureList, erased_id
from models.errors import InvalidInputError, NotFoundError, PreconditionError
from models.registry import Registry
from tests.shop import customer_name, events, item_name, write_events, write_rows
from training.config import ColumnMapping, FactorSettings, TrainingConfiguration
from training.job import train
from training.recommender import Recommender
from training.scopes import NEW_TO_CUSTOMER

pytestmark = pytest.mark.xdist_group("recommender")  # what they share is dear

CUT = "2025-05-20"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_events(tmp_path_factory.mktemp("shop") / "events.parquet", customers=60, items=40)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Give the events before a day and those from it on."""
    folder = tmp_path_factory.mktemp("parts")
    early = [row for row in events() if row["event_time"] < CUT]
    late = [row for row in events() if row["event_time"] >= CUT]
    return write_rows(folder / "early.parquet", early), write_rows(folder / "late.parquet", late)


@pytest.fixture(scope="module")
def model(parts: tuple[Path, Path]) -> Recommender:
    return Recommender(factors__factors=16).fit(parts[0])


def test_it_is_the_model_of_the_training_job(shop: Path, tmp_path: Path) -> None:
    configuration = TrainingConfiguration(factors=FactorSettings(factors=16))
    version = train([str(shop)], ColumnMapping(), configuration, Registry(tmp_path)).manifest.model_version
    assert Recommender(factors={"factors": 16}).fit(shop).manifest.model_version == version


@pytest.mark.parametrize("kind", ["frame", "arrow", "relation", "list of paths"])
def test_the_same_events_give_the_same_model_whatever_holds_them(shop: Path, kind: str) -> None:
    with duckdb.connect() as connection:
        held: dict[str, Any] = {
            "frame": pd.read_parquet(shop),
            "arrow": pyarrow.parquet.read_table(shop),
            "relation": connection.read_parquet(str(shop)),
            "list of paths": [shop],
        }
        found = Recommender(factors__factors=8).fit(held[kind])
    assert found.manifest.model_version == Recommender(factors__factors=8).fit(str(shop)).manifest.model_version


def test_what_is_no_table_is_refused_by_name() -> None:
    with pytest.raises(InvalidInputError, match=r"events: is int"):
        Recommender().fit(5)


def test_recommendations_make_a_table_best_first(model: Recommender) -> None:
    table = pd.DataFrame(model.recommend([customer_name(0), customer_name(1)], k=5))
    assert table["rank"].tolist() == [1, 2, 3, 4, 5] * 2
    assert table["customer_id"].unique().tolist() == [customer_name(0), customer_name(1)]
    assert (table.groupby("customer_id")["score"].diff().dropna() <= 0).all()
    assert set(table["source"]) <= {"rebuy", "collaborative", "neighbors", "popular"}


def test_a_stranger_gets_the_list_for_everyone(model: Recommender) -> None:
    assert {place.source for place in model.recommend("nobody", k=5)} == {"everyone"}
    assert len(model.recommend("nobody", k=5)) == 5


def test_similar_items_share_customers(model: Recommender) -> None:
    found = model.similar_items(item_name(0), k=5)
    assert [one.rank for one in found] == [1, 2, 3, 4, 5]
    assert {int(one.similar_id[-4:]) % 4 for one in found} == {0}
    with pytest.raises(NotFoundError, match="no item 'bread'"):
        model.similar_items("bread")


def test_an_explanation_is_a_sentence_that_says_what_is_known(parts: tuple[Path, Path]) -> None:
    model = Recommender(factors__factors=8, list_size=10).fit(parts[0])
    customers = [customer_name(number) for number in range(60)]
    places = model.recommend(customers)
    bought = next(place for place in places if place.bought_before)
    assert "bought before" in str(model.explain(bought.customer_id, bought.item_id))
    speaks = next(place for place in places if place.because)
    sentence = str(model.explain(speaks.customer_id, speaks.item_id))
    assert f"because {speaks.because} was {speaks.because_of}" in sentence
    listed = {place.item_id for place in places if place.customer_id == customers[0]}
    absent = min({item_name(number) for number in range(40)} - listed)
    assert "is not among the 10 candidates" in str(model.explain(customers[0], absent))


def test_it_is_judged_by_what_came_after_beside_trivial_lists_and_another_model(
    model: Recommender, parts: tuple[Path, Path]
) -> None:
    other = Recommender(factors__factors=4, events__view={"weight": 0}).fit(parts[0])
    found = model.evaluate(parts[1], beside={"other": other})
    assert {row["lists"] for row in found.table()} == {"dangol", "own-frequency", "popular-now", "other"}
    assert {entry.against for entry in found.comparisons} == {"own-frequency", "popular-now", "other"}
    assert found.value("ndcg@20") > found.value("ndcg@20", lists="popular-now")
    assert found.value("ndcg@20", NEW_TO_CUSTOMER) > 0
    assert model.score(parts[1]) == found.value("ndcg@20")


def test_its_judgement_is_that_of_a_training_run_that_stops_there(shop: Path, parts: tuple[Path, Path]) -> None:
    stopped = Recommender(factors__factors=16, until=f"{CUT}T00:00:00Z", holdout_days=60, evaluation_windows=1)
    stopped.fit(shop)
    told, again = stopped.evaluate(), stopped.evaluate(before=parts[0], after=parts[1])
    assert [row["customers"] for row in told.table()] == [row["customers"] for row in again.table()]
    for lists in ("own-frequency", "popular-now", "dangol"):
        assert told.value("recall@20", lists=lists) == pytest.approx(again.value("recall@20", lists=lists), abs=0.01)


def test_nothing_bought_after_is_named(model: Recommender, parts: tuple[Path, Path]) -> None:
    with pytest.raises(InvalidInputError, match=r"after: nobody bought anything after 2025-05-1"):
        model.evaluate(parts[0])


def test_tuning_takes_the_best_settings_for_the_next_fit(parts: tuple[Path, Path]) -> None:
    model = Recommender(factors__factors=8, ranker="blend")
    found = model.tune(parts[0], minutes=5, trials=2, windows=1)
    assert found.best is not None
    assert model.get_params()["factors__factors"] == found.settings["factors__factors"]
    assert model.get_params(deep=False)["ranker"] == "blend"


def test_settings_are_read_and_set_flat(model: Recommender) -> None:
    changed = Recommender(factors=FactorSettings(factors=16)).set_params(
        factors__regularization=5, events__view__half_life_days=7, columns={"item": "sku"}
    )
    assert changed.get_params()["factors__factors"] == 16
    assert changed.configuration.factors.regularization == 5
    assert changed.configuration.event_weights()["view"].half_life_days == 7
    assert changed.configuration.event_weights()["view"].weight == 0.1
    assert Recommender(**changed.get_params(deep=False)).configuration == changed.configuration
    assert "factors={'factors': 16, 'regularization': 5}" in repr(changed)


def test_a_setting_that_is_none_is_named_and_changes_nothing() -> None:
    recommender = Recommender(seed=3)
    with pytest.raises(InvalidInputError, match=r"settings: factors\.factor"):
        recommender.set_params(factors__factor=4)
    assert recommender.get_params(deep=False)["seed"] == 3
    with pytest.raises(InvalidInputError, match=r"columns: shop"):
        Recommender(columns={"shop": "x"})


def test_nothing_is_answered_before_something_was_learned() -> None:
    with pytest.raises(PreconditionError, match="call fit"):
        Recommender().recommend("a")


def test_a_saved_model_answers_the_same_and_needs_its_events_to_be_judged(
    model: Recommender, parts: tuple[Path, Path], tmp_path: Path
) -> None:
    version = model.save(tmp_path)
    with pytest.raises(NotFoundError, match="is current"):
        Recommender.load(tmp_path)
    loaded = Recommender.load(tmp_path, version)
    assert loaded.recommend("customer-00001") == model.recommend("customer-00001")
    assert loaded.configuration.for_manifest() == model.configuration.for_manifest()
    with pytest.raises(InvalidInputError, match="before"):
        loaded.evaluate(parts[1])
    assert loaded.evaluate(parts[1], before=parts[0]).value() == model.score(parts[1])


def test_who_was_erased_does_not_come_back_with_a_model(model: Recommender, tmp_path: Path) -> None:
    erasure = Erasure("receipt", datetime(2025, 7, 1, tzinfo=UTC), (erased_id(customer_name(0)),))
    ErasureList(tmp_path).add([erasure])
    with pytest.raises(PreconditionError, match="erased"):
        model.save(tmp_path)
    assert Registry(tmp_path).versions() == []


def test_pandas_is_not_needed() -> None:
    script = "import sys, training.recommender; sys.exit('pandas' in sys.modules or 'pyarrow' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
