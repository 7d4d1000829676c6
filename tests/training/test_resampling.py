import numpy as np
import pytest
from numpy.typing import NDArray

from training.metrics import Ratio
from training.resampling import RESAMPLES, chances, intervals


def average(values: NDArray[np.float64]) -> Ratio:
    return Ratio(values, np.ones_like(values))


def test_the_interval_of_a_mean_is_that_of_its_standard_error() -> None:
    values = np.random.default_rng(3).normal(5, 2, 4_000)
    [[low, high]] = intervals([average(values)], seed=1)
    error = values.std() / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)


def test_nine_and_a_half_of_ten_intervals_hold_the_truth() -> None:
    randomness = np.random.default_rng(5)
    held = 0
    for seed in range(200):
        [[low, high]] = intervals([average(randomness.normal(0, 1, 60))], seed)
        held += low <= 0 <= high
    assert 0.88 <= held / 200 <= 0.99


def test_a_paired_interval_is_narrower_than_the_difference_of_two() -> None:
    randomness = np.random.default_rng(7)
    shared = randomness.normal(0, 5, 500)
    ours, theirs = average(shared + randomness.normal(0.2, 0.5, 500)), average(shared)
    (difference,), separate = intervals([ours.minus(theirs)], 1), intervals([ours, theirs], 1)
    assert difference[0] > 0
    assert np.diff(separate, axis=1).min() > 3 * (difference[1] - difference[0])


def test_the_measure_of_nothing_lies_between_zero_and_zero() -> None:
    nothing = Ratio(np.zeros(5), np.zeros(5))
    assert intervals([nothing], 1).tolist() == [[0, 0]]
    assert intervals([], 1).shape == (0, 2)


def test_equal_lists_differ_by_chance_and_different_ones_do_not() -> None:
    randomness = np.random.default_rng(9)
    noise, clear = randomness.normal(0, 1, 300), randomness.normal(0.5, 1, 300)
    of_noise, of_clear, of_nothing = chances([average(noise), average(clear), average(np.zeros(300))], seed=1)
    assert of_noise > 0.05
    assert of_clear == pytest.approx(1 / (RESAMPLES + 1))
    assert of_nothing == 1


def test_chance_is_uniform_where_there_is_no_difference() -> None:
    randomness = np.random.default_rng(11)
    found = chances([average(randomness.normal(0, 1, 80)) for _ in range(300)], seed=2)
    assert 0.02 <= float((found < 0.05).mean()) <= 0.09
    assert float((found < 0.5).mean()) == pytest.approx(0.5, abs=0.1)
