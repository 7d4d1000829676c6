"""What can be said of groups of customers: how they differ, within which limits, and whether they were drawn fairly."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from scipy import stats

LEVEL = 0.95
"""How often an interval holds the truth."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Is what is known of a figure over ``count`` customers: its mean and its unbiased variance."""

    count: int
    mean: float
    variance: float

    @property
    def squared_error(self) -> float:
        """Give the variance of the mean."""
        return self.variance / self.count


def sample_of(count: int, total: float, total_of_squares: float) -> Sample:
    """Make a sample of ``count`` figures from their sum and the sum of their squares."""
    if count == 0:
        return Sample(0, 0.0, 0.0)
    mean = total / count
    spread = max(0.0, total_of_squares - count * mean * mean)
    return Sample(count, mean, spread / (count - 1) if count > 1 else 0.0)


@dataclass(frozen=True, slots=True)
class Interval:
    """Is an estimate with the limits between which the truth lies in LEVEL of all cases."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Says how a group differs from the control: ``absolute`` in the figure's unit, ``relative`` to the control's mean.

    ``relative`` is None where the control's mean is not above 0. ``p_value`` is how probable a difference as large
    would be if there were none in truth.
    """

    absolute: Interval
    relative: Interval | None
    p_value: float


def compare(control: Sample, group: Sample) -> Difference | None:
    """Compare two groups; None where one has fewer than two customers or neither figure varies.

    The absolute difference: Welch, Biometrika 34 (1947), with the degrees of freedom of Satterthwaite (1946). The
    relative one: the delta method for a ratio of independent means, as in Deng, Knoblich and Lu (KDD 2018).
    """
    errors = control.squared_error + group.squared_error if min(control.count, group.count) > 1 else 0.0
    if errors <= 0:
        return None
    freedom = errors**2 / sum(one.squared_error**2 / (one.count - 1) for one in (control, group))
    difference = group.mean - control.mean
    reach = stats.t.ppf((1 + LEVEL) / 2, freedom) * sqrt(errors)
    p_value = 2 * stats.t.sf(abs(difference) / sqrt(errors), freedom)
    absolute = Interval(difference, float(difference - reach), float(difference + reach))
    return Difference(absolute, _relative(control, group), float(p_value))


def _relative(control: Sample, group: Sample) -> Interval | None:
    if control.mean <= 0:
        return None
    ratio = group.mean / control.mean
    variance = (group.squared_error + ratio**2 * control.squared_error) / control.mean**2
    reach = float(stats.norm.ppf((1 + LEVEL) / 2)) * sqrt(variance)
    return Interval(ratio - 1, ratio - 1 - reach, ratio - 1 + reach)


def sample_ratio(counts: Sequence[int], weights: Sequence[int]) -> float:
    """Give how probable counts so far from the weights are if chance alone made them: Pearson's chi-square.

    Below 0.001 the sample ratio is taken for wrong, and the experiment for not to be trusted (Fabijan et al., KDD
    2019). 1 where nobody was counted.
    """
    total, parts = sum(counts), sum(weights)
    if total == 0:
        return 1.0
    return float(stats.chisquare(counts, [total * weight / parts for weight in weights]).pvalue)


def preference(wins: int, losses: int) -> tuple[Interval, float]:
    """Give the share of customers who prefer one of two, ties left out, and its p-value: the sign test.

    The limits are Wilson's (JASA 22, 1927). Without a decided customer nothing is known: 0.5 within 0 … 1.
    """
    if wins + losses == 0:
        return Interval(0.5, 0.0, 1.0), 1.0
    test = stats.binomtest(wins, wins + losses)
    limits = test.proportion_ci(LEVEL, method="wilson")
    return Interval(wins / (wins + losses), float(limits.low), float(limits.high)), float(test.pvalue)
