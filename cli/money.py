"""Amounts of money as people write and read them."""

from decimal import Decimal, InvalidOperation
from typing import Protocol

from models.errors import InvalidInputError

_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "KRW": "₩", "JPY": "¥"}
_WITHOUT_CENTS = frozenset({"KRW", "JPY", "VND", "CLP", "ISK"})


class Amount(Protocol):
    """Is money of the API or of the domain: both have these two."""

    @property
    def minor_units(self) -> int:
        """Count minor units."""

    @property
    def currency_code(self) -> str:
        """Give the ISO 4217 code."""


def money_text(money: Amount) -> str:
    """Write an amount as people do: ``$3.49``."""
    sign = _SIGNS.get(money.currency_code, f"{money.currency_code} ")
    if money.currency_code in _WITHOUT_CENTS:
        return f"{sign}{money.minor_units:,}"
    return f"{sign}{money.minor_units / 100:,.2f}"


def read_money(text: str, field: str) -> tuple[int, str]:
    """Read ``3.49USD`` as minor units and currency. InvalidInputError names ``field``."""
    amount, currency = text[:-3].strip(), text[-3:].upper()
    scale = 1 if currency in _WITHOUT_CENTS else 100
    try:
        minor_units = Decimal(amount) * scale
        whole = minor_units == minor_units.to_integral_value()
    except InvalidOperation as error:
        raise InvalidInputError(field, "must be an amount and a currency, such as 3.49USD") from error
    if not whole or not currency.isalpha():
        raise InvalidInputError(field, "must be an amount and a currency, such as 3.49USD")
    return int(minor_units), currency
