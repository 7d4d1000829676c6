import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.offers import AmountOff, Discount, Money, NewPrice, ShareOff, discounted

PRICE = Money(999, "EUR")


@pytest.mark.parametrize(
    ("discount", "expected"),
    [
        (ShareOff(2_500), Money(749, "EUR")),
        (ShareOff(10_000), Money(0, "EUR")),
        (AmountOff(Money(100, "EUR")), Money(899, "EUR")),
        (AmountOff(Money(5_000, "EUR")), Money(0, "EUR")),
        (AmountOff(Money(100, "USD")), None),
        (NewPrice(Money(500, "EUR")), Money(500, "EUR")),
        (NewPrice(Money(500, "USD")), None),
    ],
)
def test_a_discount_gives_the_price_that_is_paid(discount: Discount, expected: Money | None) -> None:
    assert discounted(PRICE, discount) == expected


@given(st.integers(0, 10**12), st.integers(1, 10_000))
def test_a_share_off_never_raises_a_price_nor_makes_it_negative(price: int, basis_points: int) -> None:
    paid = discounted(Money(price, "KRW"), ShareOff(basis_points))
    assert paid is not None
    assert 0 <= paid.minor_units <= price
