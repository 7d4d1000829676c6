"""Whether customers come back, and what they spend then: the models MBG/NBD and Gamma-Gamma, fitted with scipy.

MBG/NBD: E. P. Batislam, M. Denizel, A. Filiztekin, "Empirical validation and comparison of models for customer base
analysis", Int. J. of Research in Marketing 24 (2007). A customer buys as a Poisson process whose rate differs between
customers as a gamma distribution (r, alpha), and may leave for good after each purchase, the first one included, with a
chance that differs as a beta distribution (a, b). BG/NBD, its older sister, takes whoever bought once for certain to
come back. Gamma-Gamma: P. Fader, B. Hardie, "The Gamma-Gamma model of monetary value" (2013).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import gammaln, hyp2f1

Floats = NDArray[np.float64]

_PRIOR = 0.01
"""Draws each logarithm of a parameter to 0 as hard as a hundredth of a customer: it decides only what data do not."""

_HARDLY_ANYBODY = 1e-6
"""Chance to leave within the time foreseen below which the formula takes long and tells nothing."""


@dataclass(frozen=True, slots=True)
class Purchases:
    """Holds what customers bought up to the cut, (n,) each.

    ``repeats`` is how often they came back after the first purchase; in days from the first purchase, ``last`` is the
    last one and ``age`` the cut.
    """

    repeats: Floats
    last: Floats
    age: Floats


@dataclass(frozen=True, slots=True)
class Returning:
    """Is a fitted MBG/NBD."""

    r: float
    alpha: float
    a: float
    b: float

    def alive(self, known: Purchases) -> Floats:
        """Give the probability that each customer has not left, (n,)."""
        return np.asarray(1 / (1 + np.exp(self._log_odds_of_leaving(known))))

    def expected(self, known: Purchases, days: float) -> Floats:
        """Give how many purchases of each customer are expected in so many days after the cut, (n,).

        Nobody buys more than if all stayed; where as good as nobody leaves meanwhile, that is what is expected.
        """
        if_all_stay = (self.r + known.repeats) / (self.alpha + known.age) * days
        leaving = self.a / (self.a + self.b + known.repeats) * if_all_stay
        expected, some = if_all_stay.copy(), leaving > _HARDLY_ANYBODY
        told = self._expected_of_present(known.repeats[some], known.age[some], days)
        expected[some] = np.fmax(0, np.fmin(told, if_all_stay[some]))
        return np.asarray(expected * self.alive(known))

    def _expected_of_present(self, repeats: Floats, age: Floats, days: float) -> Floats:
        """Give what is expected of whoever has not left, by the paper's formula; NaN where that leaves the floats.

        Euler's transformation of its hypergeometric function keeps it within them but where customers hardly differ.
        """
        a = self.a if abs(self.a - 1) > 1e-6 else self.a + 1e-6  # at 1 it is a limit
        z = days / (self.alpha + age + days)
        with np.errstate(over="ignore", invalid="ignore"):
            growth = hyp2f1(a + self.b - self.r, a - 1, a + self.b + repeats, z) * (1 - z) ** (a - 1)
            return np.asarray((a + self.b + repeats) / (a - 1) * (1 - growth))

    def log_likelihood(self, known: Purchases) -> float:
        """Give the logarithm of the likelihood of what all these customers did."""
        r, alpha, a, b, x = self.r, self.alpha, self.a, self.b, known.repeats
        buying = gammaln(r + x) - gammaln(r) + r * np.log(alpha) - (r + x) * np.log(alpha + known.age)
        staying = gammaln(a + b) + gammaln(b + x + 1) - gammaln(b) - gammaln(a + b + x + 1)
        return float(np.sum(buying + staying + np.logaddexp(0, self._log_odds_of_leaving(known))))

    def _log_odds_of_leaving(self, known: Purchases) -> Floats:
        silence = np.log(self.alpha + known.age) - np.log(self.alpha + known.last)
        return np.asarray(np.log(self.a / (self.b + known.repeats)) + (self.r + known.repeats) * silence)


@dataclass(frozen=True, slots=True)
class Spending:
    """Is a fitted Gamma-Gamma."""

    p: float
    q: float
    v: float

    def expected(self, purchases: Floats, mean: Floats) -> Floats:
        """Give what each customer's purchases are expected to be worth, from how many they were and their mean."""
        return np.asarray(self.p * (self.v + purchases * mean) / (self.p * purchases + self.q - 1))

    def log_likelihood(self, purchases: Floats, mean: Floats) -> float:
        """Give the logarithm of the likelihood of the means, which are above 0."""
        p, q, v, x = self.p, self.q, self.v, purchases
        shape = gammaln(p * x + q) - gammaln(p * x) - gammaln(q)
        sizes = q * np.log(v) + (p * x - 1) * np.log(mean) + p * x * np.log(x) - (p * x + q) * np.log(x * mean + v)
        return float(np.sum(shape + sizes))


def fit_returning(known: Purchases) -> Returning:
    """Fit by maximum likelihood; at least one customer is needed."""
    scale = float(np.mean(known.age)) or 1.0  # so that time of whatever length begins near its optimum
    scaled = Purchases(known.repeats, known.last / scale, known.age / scale)
    r, alpha, a, b = _best(lambda parameters: Returning(*parameters).log_likelihood(scaled), 4)
    return Returning(r, alpha * scale, a, b)


def fit_spending(purchases: Floats, mean: Floats) -> Spending:
    """Fit by maximum likelihood to customers with a mean above 0; at least one is needed. ``q`` is above 1."""
    scale = float(np.mean(mean))
    p, q, v = _best(lambda at: Spending(at[0], 1 + at[1], at[2]).log_likelihood(purchases, mean / scale), 3)
    return Spending(p, 1 + q, v * scale)


def _best(log_likelihood: Callable[[list[float]], float], count: int) -> list[float]:
    """Give those positive parameters under which the data are likeliest."""

    def loss(logarithms: Floats) -> float:
        return _PRIOR * float(logarithms @ logarithms) - log_likelihood(np.exp(logarithms).tolist())

    found = minimize(loss, np.zeros(count), method="L-BFGS-B", bounds=[(-12.0, 12.0)] * count)
    return [float(parameter) for parameter in np.exp(found.x)]
