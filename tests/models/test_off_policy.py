from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import InvalidInputError
from models.off_policy import Evaluation, LoggedDecision, evaluate
from models.policy import Exploration
from service.decision.exploration import Explorer

OFFERS = tuple("abcd")
SHARE = 80
Choose = Callable[[int], tuple[str, ...]]


def reward_rate(context: int, offer: str, place: int) -> float:
    """Give how probable a click is: it depends on who looks, on the offer, and falls with the place."""
    return (0.1 + 0.12 * ((OFFERS.index(offer) + 2 * context) % 5)) / (1 + place)


def value_of(choose: Choose) -> float:
    return sum(reward_rate(c, offer, place) for c in (0, 1) for place, offer in enumerate(choose(c))) / 2


def logged(count: int, seed: int, choose: Choose) -> list[LoggedDecision]:
    """Show slates of two by a policy that likes the offers in alphabetical order and explores, as the product does."""
    randomness = np.random.default_rng(seed)
    decisions = []
    for number in range(count):
        explorer = Explorer(Exploration(SHARE), f"{seed}-{number}")
        context, free, shown, probabilities = int(randomness.integers(2)), list(range(4)), [], []
        for _ in range(2):
            index, probability, _ = explorer.choose(free[0], np.array(free))
            free.remove(index)
            shown.append(OFFERS[index])
            probabilities.append(probability)
        rewards = [float(randomness.random() < reward_rate(context, offer, n)) for n, offer in enumerate(shown)]
        decisions.append(LoggedDecision(tuple(shown), tuple(probabilities), tuple(rewards), choose(context)))
    return decisions


def other_policy(context: int) -> tuple[str, ...]:
    return ("c", "a") if context else ("b", "d")


def test_estimates_are_unbiased_and_their_limits_hold_the_truth_as_often_as_they_say() -> None:
    truth = value_of(other_policy)
    found: list[Evaluation] = [evaluate(logged(800, seed, other_policy)) for seed in range(100)]
    for intervals in ([one.ips for one in found], [one.snips for one in found]):
        estimates = np.array([interval.estimate for interval in intervals])
        assert abs(estimates.mean() - truth) < 3 * estimates.std() / len(found) ** 0.5
        held = np.mean([interval.low <= truth <= interval.high for interval in intervals])
        assert held > 0.87  # a good three standard errors of 100 rounds below 95 %


@settings(max_examples=5, deadline=None)
@given(st.tuples(st.permutations(OFFERS), st.permutations(OFFERS)))
def test_whatever_the_other_policy_is_its_value_is_found(orders: tuple[list[str], list[str]]) -> None:
    def choose(context: int) -> tuple[str, ...]:
        return tuple(orders[context][:2])

    interval = evaluate(logged(3_000, 5, choose)).snips
    width = interval.high - interval.low
    assert interval.low - width < value_of(choose) < interval.high + width


def test_the_policy_that_was_logged_is_worth_what_was_seen() -> None:
    decisions = [LoggedDecision(("a",), (1.0,), (float(n % 4 == 0),), ("a",)) for n in range(100)]
    evaluation = evaluate(decisions)
    assert evaluation.ips == evaluation.snips == evaluation.logged
    assert evaluation.logged.estimate == 0.25
    assert evaluation.effective == (100,)


def test_one_place_is_weighted_by_its_inverse_probability() -> None:
    decisions = [
        LoggedDecision(("a", "b"), (0.5, 0.5), (1.0, 8.0), ("a", "c")),
        LoggedDecision(("b", "a"), (0.25, 0.5), (4.0, 8.0), ("b", "c")),
        LoggedDecision(("a", "b"), (0.5, 0.5), (8.0, 8.0), ("b", "a")),
    ]
    evaluation = evaluate(decisions, places=1)
    assert evaluation.ips.estimate == pytest.approx((1 / 0.5 + 4 / 0.25) / 3)
    assert evaluation.snips.estimate == pytest.approx((1 / 0.5 + 4 / 0.25) / (1 / 0.5 + 1 / 0.25))


def test_places_that_no_decision_reaches_and_logs_too_short_are_refused() -> None:
    decisions = [LoggedDecision(("a", "b"), (0.5, 0.5), (1.0, 0.0), ("a", "c"))] * 3
    with pytest.raises(InvalidInputError, match="beyond place 1"):
        evaluate(decisions)
    with pytest.raises(InvalidInputError, match="too few"):
        evaluate(decisions[:1])
