from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare

from models.experiments import (
    DRAWS,
    Arm,
    Experiment,
    ExperimentStatus,
    arm_of,
    draw,
    leads_to,
    marked,
)

MOMENT = datetime(2025, 7, 15, tzinfo=UTC)
CUSTOMERS = [f"customer-{number}" for number in range(20_000)]
IMPROBABLE = 1e-7  # a test that draws salts anew each time must not fail once a year
SALTS = st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)?", fullmatch=True)


def experiment(*weights: int, salt: str = "") -> Experiment:
    arms = tuple(Arm(f"arm-{number}", weight) for number, weight in enumerate(weights))
    return Experiment("home-ranking", ("home-top",), arms, salt)


@pytest.mark.parametrize(
    ("salt", "customer_id", "drawn", "arm"),
    [
        ("home-ranking", "ada", 2407701995, "arm-1"),
        ("home-ranking", "customer-7", 1961288105, "arm-0"),
        ("home-ranking", "민수", 2002346679, "arm-0"),
        ("cart-prices", "ada", 3654543529, "arm-2"),
    ],
)
def test_the_draw_is_what_other_languages_compute_too(salt: str, customer_id: str, drawn: int, arm: str) -> None:
    assert draw(salt, customer_id) == drawn
    assert arm_of(experiment(5, 3, 2, salt=salt), customer_id).arm == arm


@settings(max_examples=20, deadline=None)
@given(SALTS)
def test_draws_are_uniform_for_every_salt(salt: str) -> None:
    parts = Counter(draw(salt, customer_id) * 50 // DRAWS for customer_id in CUSTOMERS)
    assert chisquare([parts[part] for part in range(50)]).pvalue > IMPROBABLE


@settings(max_examples=20, deadline=None)
@given(SALTS, st.lists(st.integers(1, 1_000), min_size=2, max_size=6))
def test_arms_get_their_weight_of_the_customers(salt: str, weights: list[int]) -> None:
    asked = experiment(*weights, salt=salt)
    counts = Counter(arm_of(asked, customer_id).arm for customer_id in CUSTOMERS)
    expected = [len(CUSTOMERS) * weight / sum(weights) for weight in weights]
    assert chisquare([counts[arm.arm] for arm in asked.arms], expected).pvalue > IMPROBABLE


@settings(max_examples=20, deadline=None)
@given(SALTS, SALTS)
def test_experiments_of_different_salts_split_independently(one: str, other: str) -> None:
    if one == other:
        return
    first, second = experiment(1, 1, salt=one), experiment(1, 1, salt=other)
    pairs = Counter((arm_of(first, id_).arm, arm_of(second, id_).arm) for id_ in CUSTOMERS)
    table = [[pairs[f"arm-{row}", f"arm-{column}"] for column in range(2)] for row in range(2)]
    assert chi2_contingency(table).pvalue > IMPROBABLE


def test_a_request_id_leads_to_its_experiments_and_no_others() -> None:
    request_id = marked("a1b2c3-1f", ["home-ranking", "cart-prices", "home-ranking"])
    assert request_id.startswith("a1b2c3-1f.")
    assert leads_to(request_id, "home-ranking")
    assert leads_to(request_id, "cart-prices")
    assert not leads_to(request_id, "other")
    assert not leads_to("a1b2c3-1f", "home-ranking")
    assert marked("a1b2c3-1f", []) == "a1b2c3-1f"


def test_an_experiment_holds_between_its_times_while_it_runs() -> None:
    day = timedelta(days=1)
    asked = Experiment("e", ("p",), (), start_time=MOMENT, end_time=MOMENT + day)
    assert asked.holds_at(MOMENT.timestamp())
    assert not asked.holds_at((MOMENT + day).timestamp())
    assert not Experiment("e", ("p",), (), status=ExperimentStatus.DRAFT).holds_at(MOMENT.timestamp())
    assert not asked.meets(Experiment("f", ("p",), (), start_time=MOMENT + day))
    assert asked.meets(Experiment("f", ("p",), ()))
    assert not asked.meets(Experiment("f", ("p",), (), status=ExperimentStatus.ENDED))
