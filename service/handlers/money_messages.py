"""Amounts and discounts ↔ domain."""

from dangol.v1 import catalog_pb2
from models.errors import InvalidInputError
from models.offers import AmountOff, Discount, Money, NewPrice, ShareOff
from service.handlers.validation import check, check_money, range_problem


def money_message(money: Money) -> catalog_pb2.Money:
    """Write an amount."""
    return catalog_pb2.Money(minor_units=money.minor_units, currency_code=money.currency_code)


def discount_message(discount: Discount) -> catalog_pb2.Discount:
    """Write a discount."""
    match discount:
        case ShareOff(basis_points):
            return catalog_pb2.Discount(off_basis_points=basis_points)
        case AmountOff(amount):
            return catalog_pb2.Discount(off_amount=money_message(amount))
        case NewPrice(price):
            return catalog_pb2.Discount(new_price=money_message(price))


def money_from(message: catalog_pb2.Money, field: str) -> Money:
    """Read an amount that may not be negative."""
    check_money(field, message)
    return Money(message.minor_units, message.currency_code)


def discount_from(message: catalog_pb2.Discount, field: str) -> Discount:
    """Read a discount. InvalidInputError names the field."""
    match message.WhichOneof("kind"):
        case "off_basis_points":
            check(f"{field}.off_basis_points", range_problem(message.off_basis_points, 1, 10_000))
            return ShareOff(message.off_basis_points)
        case "off_amount":
            return AmountOff(money_from(message.off_amount, f"{field}.off_amount"))
        case "new_price":
            return NewPrice(money_from(message.new_price, f"{field}.new_price"))
        case _:
            raise InvalidInputError(field, "says neither off_basis_points nor off_amount nor new_price")
