"""One question that the gate asks of a model, and the answer."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """Tells what was found and what was wanted, in words for people."""

    name: str
    passed: bool
    found: str
    wanted: str


def at_least(name: str, found: float, wanted: float, unit: str = "") -> Check:
    """Ask for a number not below another."""
    # What is compared was rounded or summed elsewhere: the last digits are no reason.
    return Check(name, found >= wanted * (1 - 1e-6), f"{_number(found)}{unit}", f"at least {_number(wanted)}{unit}")


def at_most(name: str, found: float, wanted: float, unit: str = "") -> Check:
    """Ask for a number not above another."""
    return Check(name, found <= wanted * (1 + 1e-6), f"{_number(found)}{unit}", f"at most {_number(wanted)}{unit}")


def _number(value: float) -> str:
    """Write four digits, of what is larger all before the point."""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"
