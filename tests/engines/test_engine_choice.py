from typing import Any

import pytest

from models.errors import InvalidInputError
from service.engine_choice import choose_engine
from service.settings import read_settings

MISSING = "there is no wheel for this machine"


def test_envoy_serves_where_it_can_run() -> None:
    assert choose_engine(read_settings(), lambda: None).engine == "envoy"


def test_grpcio_serves_elsewhere_and_the_reason_says_what_is_missing() -> None:
    choice = choose_engine(read_settings(), lambda: MISSING)
    assert choice.engine == "grpcio"
    assert MISSING in choice.reason


def test_the_engine_that_is_asked_for_serves() -> None:
    assert choose_engine(read_settings(engine="grpcio"), lambda: None).engine == "grpcio"
    assert choose_engine(read_settings(engine="envoy"), lambda: None).engine == "envoy"


@pytest.mark.parametrize("given", [{"maximal_waiting": 64}, {"minimal_ping_interval": 30.0}])
def test_what_grpcio_alone_does_chooses_it(given: dict[str, Any]) -> None:
    choice = choose_engine(read_settings(**given), lambda: None)
    assert choice.engine == "grpcio"
    assert next(iter(given)) in choice.reason


def test_envoy_is_refused_where_it_is_asked_for_and_cannot_run() -> None:
    with pytest.raises(InvalidInputError, match=MISSING) as caught:
        choose_engine(read_settings(engine="envoy"), lambda: MISSING)
    assert caught.value.field == "engine"


@pytest.mark.parametrize(
    "given", [{"web_origins": ("*",)}, {"access_log": "access.log"}, {"envoy_admin": "127.0.0.1:9901"}]
)
def test_what_envoy_alone_does_is_not_left_undone_in_silence(given: dict[str, Any]) -> None:
    assert choose_engine(read_settings(**given), lambda: None).engine == "envoy"
    with pytest.raises(InvalidInputError, match=MISSING) as caught:
        choose_engine(read_settings(**given), lambda: MISSING)
    assert caught.value.field == next(iter(given))


def test_wishes_that_no_engine_fulfils_together_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="only envoy has access_log, only grpcio maximal_waiting") as caught:
        choose_engine(read_settings(access_log="access.log", maximal_waiting=64), lambda: None)
    assert caught.value.field == "engine"
