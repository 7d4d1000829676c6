import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from models.comparison import Sample, compare, preference, sample_of, sample_ratio


def sample(figures: NDArray[np.float64]) -> Sample:
    return sample_of(len(figures), float(figures.sum()), float((figures**2).sum()))


def test_the_absolute_difference_is_that_of_welchs_test() -> None:
    randomness = np.random.default_rng(1)
    control, group = randomness.gamma(2, 3, 400), randomness.gamma(2, 4, 90)
    found = compare(sample(control), sample(group))
    expected = stats.ttest_ind(group, control, equal_var=False)
    assert found is not None
    assert found.p_value == pytest.approx(expected.pvalue)
    limits = expected.confidence_interval(0.95)
    assert (found.absolute.low, found.absolute.high) == pytest.approx((limits.low, limits.high))


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    randomness = np.random.default_rng(7)
    rounds, held_absolute, held_lift = 1_500, 0, 0
    for _ in range(rounds):
        control = sample((randomness.random(800) < 0.2).astype(float))
        group = sample((randomness.random(500) < 0.25).astype(float))
        found = compare(control, group)
        assert found is not None
        assert found.relative is not None
        held_absolute += found.absolute.low <= 0.05 <= found.absolute.high
        held_lift += found.relative.low <= 0.25 <= found.relative.high
    # Three standard errors of 1,500 rounds around 95 %.
    assert 0.933 < held_absolute / rounds < 0.967
    assert 0.933 < held_lift / rounds < 0.967


@pytest.mark.parametrize(("control", "group"), [((0, 0, 0), (5, 1, 1)), ((1, 1, 1), (5, 2, 2)), ((5, 0, 0), (5, 0, 0))])
def test_groups_that_say_nothing_are_not_compared(
    control: tuple[int, float, float], group: tuple[int, float, float]
) -> None:
    assert compare(sample_of(*control), sample_of(*group)) is None


def test_there_is_no_lift_over_nothing() -> None:
    found = compare(sample_of(10, 0, 0), sample_of(10, 5, 5))
    assert found is not None
    assert found.relative is None


def test_a_wrong_sample_ratio_is_improbable_and_a_right_one_is_not() -> None:
    assert sample_ratio([5_000, 5_020], [1, 1]) > 0.5
    assert sample_ratio([5_000, 5_500], [1, 1]) < 0.001
    assert sample_ratio([9_000, 1_010], [9, 1]) > 0.5
    assert sample_ratio([0, 0], [1, 1]) == 1.0


def test_a_preference_is_told_with_its_limits() -> None:
    share, p_value = preference(60, 40)
    assert (share.estimate, p_value) == pytest.approx((0.6, 0.0569), abs=1e-4)
    assert (share.low, share.high) == pytest.approx((0.5020, 0.6906), abs=1e-4)
    assert preference(0, 0)[1] == 1.0
