from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings

from dangol.v1 import catalog_pb2
from models.errors import InvalidInputError
from models.experiments import Arm, Experiment, ExperimentMode, ExperimentStatus
from service.handlers.experiment_messages import experiment_message, experiments_from
from tests.store import samples

ARMS = [{"arm": "a"}, {"arm": "b"}]


def message(**fields: Any) -> catalog_pb2.Experiment:  # noqa: ANN401 - whatever the message takes
    return catalog_pb2.Experiment(**({"experiment_id": "e", "placements": ["home-top"], "arms": ARMS} | fields))


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (message(experiment_id="Home"), "experiment_id"),
        (message(placements=[]), "placements"),
        (message(placements=["-"]), "placements[0]"),
        (message(placements=["a", "a"]), "placements[1]"),
        (message(arms=ARMS[:1]), "arms"),
        (message(arms=[ARMS[0], ARMS[0]]), "arms[1].arm"),
        (message(arms=[{"arm": ""}, ARMS[0]]), "arms[0].arm"),
        (message(arms=[{"arm": "c", "weight": -1}, ARMS[0]]), "arms[0].weight"),
        (message(arms=[{"arm": "c", "holdout": True, "policy": {}}, ARMS[0]]), "arms[0].policy"),
        (message(arms=[ARMS[0], {"arm": "c", "policy": {"default_value": -1}}]), "arms[1].policy.default_value"),
        (message(arms=[*ARMS, {"arm": "c"}], mode=2), "arms"),
        (message(arms=[ARMS[0], {"arm": "c", "holdout": True}], mode=2), "arms[1].holdout"),
        (message(arms=[ARMS[0], {"arm": "c", "model_version": "a\n"}]), "arms[1].model_version"),
        (message(arms=[ARMS[0], {"arm": "c", "model_version": "v", "holdout": True}]), "arms[1].model_version"),
        (message(arms=[ARMS[0], {"arm": "c", "model_version": "v"}], mode=2), "arms[1].model_version"),
        (message(mode=9), "mode"),
        (message(status=9), "status"),
        (message(salt="A"), "salt"),
        (message(start_time=Timestamp(seconds=5), end_time=Timestamp(seconds=5)), "end_time"),
    ],
)
def test_a_bad_experiment_is_refused_and_its_field_named(bad: catalog_pb2.Experiment, field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        experiments_from([bad])
    assert refused.value.field == f"experiments[0].{field}"


def test_what_an_experiment_leaves_open_is_stored_as_said() -> None:
    (read,) = experiments_from([message()])
    assert read == Experiment("e", ("home-top",), (Arm("a", 1), Arm("b", 1)))
    assert (read.mode, read.status) == (ExperimentMode.SPLIT, ExperimentStatus.RUNNING)


@settings(max_examples=50, deadline=None)
@given(samples.experiments)
def test_an_experiment_that_can_be_read_is_written_as_it_was(drawn: Experiment) -> None:
    written = experiment_message(drawn)
    try:
        (read,) = experiments_from([written])
    except InvalidInputError:
        return
    assert read == drawn
