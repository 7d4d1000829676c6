import numpy as np
import pytest

from models.outlook import pack_outlooks, unpack_outlook
from training.event_store import SECONDS_PER_DAY
from training.lifetimes import Purchases
from training.outlooks import PurchaseHistory, intervals_of, outlooks_of, scores_of

CUT = 400 * SECONDS_PER_DAY


def history(*customers: tuple[int, float, float, float]) -> PurchaseHistory:
    """Give customers by on how many days they bought, the first and last of these, and what they spent."""
    days, first, last, spent = np.array(customers, dtype=np.float64).T
    return PurchaseHistory(np.arange(len(days)), days, first * SECONDS_PER_DAY, last * SECONDS_PER_DAY, spent)


def test_equal_customers_have_equal_scores_and_each_fifth_has_its_own() -> None:
    assert scores_of(np.arange(10.0)).tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert scores_of(np.array([1.0, 1.0, 1.0, 7.0])).tolist() == [2, 2, 2, 5]
    assert scores_of(np.array([3.0])).tolist() == [3]


def test_a_customers_own_rhythm_counts_the_more_the_longer_it_is_known() -> None:
    known = Purchases(np.array([20.0, 1.0, 0.0]), np.array([140.0, 49.0, 0.0]), np.full(3, 200.0))
    average = 189 / 21
    often, twice, once = intervals_of(known)
    assert often == pytest.approx((140 + 2 * average) / 22)
    assert twice == pytest.approx((49 + 2 * average) / 3)
    assert once == pytest.approx(average)


def test_the_next_purchase_is_due_one_interval_after_the_last() -> None:
    weekly = (50, 50.0, 393.0, 1000.0)
    outlooks = outlooks_of(history(weekly, weekly, weekly), CUT)
    assert outlooks["purchase_days"] == pytest.approx(np.full(3, 0.0), abs=0.01)


def test_somebody_silent_for_long_is_riskier_and_worth_less_than_a_regular() -> None:
    regular, silent, new = (40, 10.0, 395.0, 800.0), (40, 10.0, 200.0, 800.0), (1, 390.0, 390.0, 20.0)
    outlooks = outlooks_of(history(*[regular, silent, new] * 20), CUT)
    assert outlooks["churn_risk"][0] < 0.2 < outlooks["churn_risk"][1]
    assert outlooks["value"][0] > outlooks["value"][1]
    told = [unpack_outlook(one) for one in pack_outlooks(outlooks[:3]).tolist()]
    assert [one.segment for one in told if one is not None] == ["champions", "at-risk", "fading"]


def test_sources_without_values_say_nothing_of_spending() -> None:
    outlooks = outlooks_of(history((3, 10.0, 90.0, 0.0), (5, 20.0, 300.0, 0.0)), CUT)
    assert outlooks["value"].tolist() == [0.0, 0.0]
    assert outlooks["monetary"].tolist() == [3, 3]
