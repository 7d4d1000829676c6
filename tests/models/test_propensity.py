from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import ArtifactError
from models.item_model import decode_item_model, encode_item_model
from models.propensity import Propensity
from tests.models.samples import small_item_model
from training.propensity import fit_propensity


def propensity(scores: list[float], chances: list[float]) -> Propensity:
    return Propensity(np.array(scores, dtype=np.float32), np.array(chances, dtype=np.float32))


RISING = propensity([0.25, 0.5, 0.75], [0.0, 0.125, 0.5])


@pytest.mark.parametrize(
    ("score", "chance"),
    [(-1, 0), (0, 0), (0.1, 0), (0.25, 0), (0.375, 0.0625), (0.5, 0.125), (0.625, 0.3125), (9, 0.5)],
)
def test_a_chance_lies_on_the_line_between_two_knots(score: float, chance: float) -> None:
    assert RISING.of(score) == pytest.approx(chance)
    assert RISING.of_all(np.array([score], dtype=np.float32))[0] == pytest.approx(chance)


def test_one_knot_says_the_same_of_every_score() -> None:
    assert [propensity([0.5], [0.25]).of(score) for score in (0.1, 0.5, 3)] == [0.25] * 3


def test_an_item_model_carries_it() -> None:
    model = decode_item_model(encode_item_model(replace(small_item_model(), propensity=RISING)))
    assert model.propensity is not None
    assert model.propensity.of(0.625) == RISING.of(0.625)


def test_an_item_model_without_one_has_none() -> None:
    assert decode_item_model(encode_item_model(small_item_model())).propensity is None


@pytest.mark.parametrize(
    "damaged",
    [
        propensity([], []),
        propensity([0.5, 0.25], [0, 1]),
        propensity([0.25, 0.5], [0.5, 0.25]),
        propensity([0.25, 0.5], [0, 1.5]),
        propensity([0.25, 0.5], [0, float("nan")]),
        propensity([0.25, 0.5], [0]),
    ],
)
def test_one_that_cannot_be_is_refused(damaged: Propensity) -> None:
    with pytest.raises(ArtifactError, match="propensities"):
        decode_item_model(encode_item_model(replace(small_item_model(), propensity=damaged)))


@given(st.integers(0, 2**32 - 1), st.integers(1, 3000), st.floats(0.01, 0.9))
def test_a_fit_is_sound_whatever_was_bought(seed: int, count: int, share: float) -> None:
    randomness = np.random.default_rng(seed)
    scores = (randomness.random(count) ** 3).astype(np.float32)
    bought = randomness.random(count) < share * scores
    fitted = fit_propensity(scores, bought)
    if fitted is None:
        assert not bought.any()
    else:
        assert fitted.is_sound()


def test_a_fit_finds_the_chances_that_made_the_purchases() -> None:
    randomness = np.random.default_rng(1)
    scores = randomness.random(200_000).astype(np.float32)
    fitted = fit_propensity(scores, randomness.random(len(scores)) < scores**2)
    assert fitted is not None
    wanted = np.linspace(0.05, 0.95, 19, dtype=np.float32)
    assert np.abs(fitted.of_all(wanted) - wanted**2).max() < 0.02
