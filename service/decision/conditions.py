"""Conditions of offers in the Common Expression Language: checked when they are stored, kept compiled, evaluated here.

The language is Google's (cel-spec); the library is its own C++ implementation, whose checker knows the types of all
names before anything is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from models.errors import InvalidInputError
from service.decision.facts import FACT_TYPES, ITEM_FACTS

MAXIMAL_BYTES = 1_024
_MAXIMAL_WALKS = 4
_REMEMBERED = 100_000

_STRING = re.compile(r"'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_NAME = re.compile(r"\b(?:customer|item|request)\s*\.\s*\w+")
_JOINT = re.compile(r"&&|\|\||[?()\[\]{}]|//")
_WALK = re.compile(r"\.\s*(?:all|exists|exists_one|existsOne|map|filter)\s*\(|[()]")
_REASON = re.compile(r"<input>:(\d+):(\d+): (.*?)(?: \(in container '.*?'\))?(?:\n|$)")

if TYPE_CHECKING:
    from cel_expr_python import cel


class Condition:
    """Is one condition. ``item_names`` and ``asked_names`` are the facts that it looks at, of the item and others.

    It holds exactly where all of its ``parts`` hold: what is joined by ``&&``, else itself alone. Each of them can be
    remembered for as long as the facts that it looks at stay the same, and serves every condition that it is part of.
    Conditions of the same source are the same object, so they may be compared and remembered by identity.
    """

    __slots__ = ("_expression", "asked_names", "item_names", "parts", "source")

    def __init__(self, source: str, expression: cel.Expression | None, parts: Sequence[Condition] = ()) -> None:
        self.source = source
        self._expression = expression
        self.parts = tuple(parts) or (self,)
        names = {re.sub(r"\s", "", found) for found in _NAME.findall(source)}
        self.item_names = tuple(sorted(names & ITEM_FACTS.keys()))
        self.asked_names = tuple(sorted(names & FACT_TYPES.keys() - ITEM_FACTS.keys()))

    @property
    def is_mixed(self) -> bool:
        """Tell whether it looks at the item and at more besides, so that each item may have to be asked."""
        return bool(self.item_names and self.asked_names)

    def verdict(self, facts: Mapping[str, object]) -> bool | None:
        """Tell whether it holds, None while the facts at hand do not decide it.

        What is decided by some facts stays so with more: the language takes ``false && unknown`` for false and
        ``true || unknown`` for true. One that cannot be evaluated at all, as on a missing price, is never decided.
        """
        if self._expression is None:
            return False
        value = self._expression.eval(data=facts).value()
        return value if isinstance(value, bool) else None


@lru_cache(maxsize=_REMEMBERED)
def condition_of(source: str) -> Condition:
    """Compile a condition that was checked when it was stored; what does not compile any more never holds."""
    expression = _compiled(source)
    sources = _joined_by_and(source) if expression is not None else []
    compiled = [_compiled(part) for part in sources]
    # A part that is no truth for certain, such as one of the type dyn, is not told from one that fails.
    if any(part is None or not _is_truth(part) for part in compiled):
        return Condition(source, expression)
    return Condition(source, expression, [condition_of(part) for part in sources])


def _compiled(source: str) -> cel.Expression | None:
    try:
        return _environment().compile(source)
    except RuntimeError:
        return None


@lru_cache(maxsize=1)
def _environment() -> cel.Env:
    # Takes 7 MB, which a shop without conditions does without.
    from cel_expr_python import cel  # noqa: PLC0415

    return cel.NewEnv(variables={name: cel.Type(type_) for name, type_ in FACT_TYPES.items()})


def _is_truth(expression: cel.Expression) -> bool:
    name: str = expression.return_type().name()
    return name == "BOOL"


def _joined_by_and(source: str) -> list[str]:
    """Give what is joined by ``&&`` outside of all brackets; nothing where ``||`` or ``?`` bind more loosely there."""
    cuts: list[int] = []
    depth = 0
    for found in _JOINT.finditer(_without_strings(source)):
        sign = found[0]
        if sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
        elif sign == "//" or (depth == 0 and sign != "&&"):
            return []
        elif depth == 0:
            cuts.append(found.start())
    starts, ends = [0, *(cut + 2 for cut in cuts)], [*cuts, len(source)]
    return [source[start:end].strip() for start, end in zip(starts, ends, strict=True)] if cuts else []


def _without_strings(source: str) -> str:
    """Blank strings out; they are not cut, so that columns stay."""
    return _STRING.sub(lambda string: " " * len(string[0]), source)


def check_condition(field: str, source: str) -> None:
    """InvalidInputError, naming the column, for an unknown name, a wrong type or what takes too long to evaluate."""
    if len(source.encode()) > MAXIMAL_BYTES:
        raise InvalidInputError(field, f"is longer than {MAXIMAL_BYTES:,} bytes")
    try:
        expression = _environment().compile(source)
    except RuntimeError as error:
        raise InvalidInputError(field, _problem(str(error))) from error
    if not _is_truth(expression):
        raise InvalidInputError(field, f"is of type {expression.return_type().name()}, not of type BOOL")
    _check_walks(field, source)


def _problem(reason: str) -> str:
    """Give the first thing that the checker objects to, and where."""
    found = _REASON.search(reason)
    if found is None:
        return "is nested too deeply" if "recursion" in reason else "is not an expression of CEL"
    line, column, text = found.groups()
    place = f"column {column}" if line == "1" else f"line {line}, column {column}"
    return f"cannot be used: {text} at {place}"


def _check_walks(field: str, source: str) -> None:
    """Refuse walks over lists inside of one another, whose cost is the product of their lengths, and many of them."""
    walks: list[int] = []
    depth = count = 0
    for found in _WALK.finditer(_without_strings(source)):
        depth += -1 if found[0] == ")" else 1
        while walks and depth < walks[-1]:
            walks.pop()
        if found[0] in "()":
            continue
        count += 1
        if walks or count > _MAXIMAL_WALKS:
            raise InvalidInputError(field, f"walks over too many lists at column {found.start() + 1}")
        walks.append(depth)
