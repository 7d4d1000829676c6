"""Amounts of money as people write and read them."""

import re
from typing import Protocol

from models.errors import InvalidInputError
from models.offers import minor_unit_places

_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "KRW": "₩", "JPY": "¥"}

_AMOUNT = re.compile(r"(?P<whole>\d{1,12})(\.(?P<cents>\d{1,4}))? ?(?P<currency>[A-Za-z]{3})", re.ASCII)


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
    if minor_unit_places(money.currency_code) == 0:
        return f"{sign}{money.minor_units:,}"
    return f"{sign}{money.minor_units / 100:,.2f}"


def read_money(text: str, field: str) -> tuple[int, str]:
    """Read ``3.49USD`` as minor units and currency. InvalidInputError names ``field``."""
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise InvalidInputError(field, "must be an amount and a currency, such as 3.49USD")
    currency = found["currency"].upper()
    places = minor_unit_places(currency)
    cents = found["cents"] or ""
    if len(cents) > places:
        raise InvalidInputError(field, f"must have at most {places} places after the point, as {currency} has")
    return int(found["whole"] + cents.ljust(places, "0")), currency
