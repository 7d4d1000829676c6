"""Customers drawn from known parameters: the fit finds them, and what is expected comes true on average."""

import numpy as np
import pytest

from training.lifetimes import Floats, Purchases, Returning, Spending, fit_returning, fit_spending

TRUE = Returning(r=0.8, alpha=12.0, a=0.9, b=2.5)
AHEAD = 60.0


def drawn(customers: int, seed: int = 1) -> tuple[Purchases, Floats]:
    """Let customers buy and leave as MBG/NBD says; give what is known of them, and how often they bought afterwards."""
    randomness = np.random.default_rng(seed)
    repeats, last, after = np.zeros(customers), np.zeros(customers), np.zeros(customers)
    age = randomness.uniform(30, 200, customers)
    rates = randomness.gamma(TRUE.r, 1 / TRUE.alpha, customers)
    chances = randomness.beta(TRUE.a, TRUE.b, customers)
    for customer, (rate, chance) in enumerate(zip(rates, chances, strict=True)):
        time = 0.0
        while randomness.uniform() >= chance:
            time += randomness.exponential(1 / max(rate, 1e-9))
            if time > age[customer] + AHEAD:
                break
            if time > age[customer]:
                after[customer] += 1
            else:
                repeats[customer] += 1
                last[customer] = time
    return Purchases(repeats, last, age), after


KNOWN, AFTER = drawn(6_000)


def test_the_fit_finds_what_the_customers_were_drawn_from() -> None:
    found = fit_returning(KNOWN)
    assert found.log_likelihood(KNOWN) >= TRUE.log_likelihood(KNOWN) - 1
    assert found.r / found.alpha == pytest.approx(TRUE.r / TRUE.alpha, rel=0.2)
    assert found.a / (found.a + found.b) == pytest.approx(TRUE.a / (TRUE.a + TRUE.b), rel=0.2)


def test_as_much_is_bought_as_was_expected() -> None:
    expected = TRUE.expected(KNOWN, AHEAD)
    assert expected.sum() == pytest.approx(AFTER.sum(), rel=0.06)
    many = KNOWN.repeats >= 3
    assert expected[many].mean() == pytest.approx(AFTER[many].mean(), rel=0.08)


def test_expectations_hold_where_the_formula_has_a_gap_and_for_the_busiest() -> None:
    once = Purchases(np.array([3.0]), np.array([50.0]), np.array([80.0]))
    near = Returning(0.8, 12.0, 1.0001, 2.5).expected(once, AHEAD)
    assert Returning(0.8, 12.0, 1.0, 2.5).expected(once, AHEAD) == pytest.approx(near, rel=1e-3)
    busy = Purchases(np.array([20_000.0]), np.array([365.0]), np.array([365.0]))
    assert TRUE.expected(busy, 30.0)[0] == pytest.approx(20_000 / 377 * 30, rel=0.1)


def test_a_longer_silence_makes_it_less_likely_that_somebody_is_there() -> None:
    known = Purchases(np.full(3, 4.0), np.array([100.0, 60.0, 20.0]), np.full(3, 110.0))
    there = TRUE.alive(known)
    assert there[0] > there[1] > there[2]


def test_spending_is_found_and_a_mean_of_few_purchases_is_drawn_to_that_of_all() -> None:
    randomness = np.random.default_rng(2)
    purchases = randomness.integers(1, 9, 6_000).astype(np.float64)
    true = Spending(p=4.0, q=5.0, v=60.0)
    scales = randomness.gamma(true.q, 1 / true.v, 6_000)
    mean = randomness.gamma(true.p * purchases, 1 / (scales * purchases))
    found = fit_spending(purchases, mean)
    everybody = true.p * true.v / (true.q - 1)
    expected = found.expected(np.array([1.0, 50.0]), np.array([4 * everybody, 4 * everybody]))
    assert found.p * found.v / (found.q - 1) == pytest.approx(everybody, rel=0.05)
    assert everybody < expected[0] < expected[1] < 4 * everybody


def test_few_customers_lead_to_finite_numbers() -> None:
    one = Purchases(np.array([0.0]), np.array([0.0]), np.array([0.0]))
    assert np.isfinite(fit_returning(one).expected(one, AHEAD)).all()
    assert np.isfinite(fit_spending(np.array([1.0]), np.array([5.0])).expected(np.ones(1), np.ones(1))).all()


def test_customers_who_hardly_differ_are_expected_to_go_on_as_they_did() -> None:
    fitted = Returning(r=10_216, alpha=33_585, a=0.00108, b=136.0)  # to such a shop; hyp2f1 gives no number there
    known = Purchases(np.full(3, 48.0), np.array([157.0, 158.0, 159.0]), np.full(3, 160.0))
    assert fitted.expected(known, 80) == pytest.approx((10_216 + 48) / (33_585 + 160) * 80, rel=0.01)
