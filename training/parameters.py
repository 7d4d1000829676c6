"""Settings by flat names, as estimators and studies name them: those of a table joined by two underscores."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

JOINT = "__"


def merged(settings: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Give settings with flat parameters put into them; a mapping takes the place of a whole table."""
    result = dict(settings)
    for name, value in params.items():
        first, _, rest = name.partition(JOINT)
        result[first] = merged(_table(result.get(first)), {rest: value}) if rest else value
    return result


def _table(value: object) -> Mapping[str, Any]:
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=True)
    return value if isinstance(value, Mapping) else {}


def flattened(settings: Mapping[str, Any], joint: str = JOINT) -> dict[str, Any]:
    """Give every setting that is no table by its flat name; people read names with a point as the ``joint``."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            flat |= {f"{name}{joint}{inner}": below for inner, below in flattened(value, joint).items()}
        else:
            flat[name] = value
    return flat
