"""Which settings are looked for, and between which bounds; they go by the flat names of ``training.parameters``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training.config import TrainingConfiguration, parse
from training.parameters import merged

_REACH = 10.0
"""How many times as much or as little as it was a weight may become."""


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds one setting, both ends inclusive: looked for on a logarithmic scale, among ``whole`` numbers or not.

    ``start`` is what it was before tuning, and lies within the bounds. ``sign`` is -1 where the setting is below 0: the
    bounds are those of its size.
    """

    name: str
    low: float
    high: float
    start: float
    whole: bool = False
    sign: int = 1


def search_space(configuration: TrainingConfiguration, types: Sequence[str], *, learned: bool) -> list[Range]:
    """Give what is looked for: the settings that the ranker heeds, and the behaviours among the events' ``types``.

    The target's own weight stays: only how others compare with it matters.
    """
    ranges = _of_trees(configuration) if learned else _of_blend(configuration)
    half_life = configuration.event_weights()[configuration.target].half_life_days
    target = _range(f"events__{configuration.target}__half_life_days", 5, 730, half_life)
    return [target, *_of_behaviors(configuration, types), *ranges]


def _of_behaviors(configuration: TrainingConfiguration, types: Sequence[str]) -> Iterator[Range]:
    """Give half-life and weight of every behaviour but the target: both rankers read histories added up by them."""
    for name, event in configuration.event_weights().items():
        if name in types and name != configuration.target and event.weight:
            size = abs(event.weight)
            sign = 1 if event.weight > 0 else -1
            yield _range(f"events__{name}__weight", size / _REACH, min(size * _REACH, 100), size, sign=sign)
            yield _range(f"events__{name}__half_life_days", 2, 730, event.half_life_days)


def _of_blend(configuration: TrainingConfiguration) -> Iterator[Range]:
    factors, sizes = configuration.factors, configuration.sources
    yield _range("factors__factors", 8, 256, factors.factors, whole=True)
    yield _range("factors__regularization", 0.05, 50, max(factors.regularization, 0.05))
    yield _range("factors__confidence_scale", 0.5, 100, factors.confidence_scale)
    yield _range("neighbors_per_item", 5, 100, configuration.neighbors_per_item, whole=True)
    yield _range("popularity_days", 3, 120, configuration.popularity_days)
    yield _range("sources__rebuy", 50, 400, sizes.rebuy, whole=True)
    yield _range("sources__collaborative", 20, 300, sizes.collaborative, whole=True)
    yield _range("sources__neighbors", 20, 300, sizes.neighbors, whole=True)
    yield _range("sources__popular", 10, 200, sizes.popular, whole=True)


def _of_trees(configuration: TrainingConfiguration) -> Iterator[Range]:
    settings = configuration.learned
    yield _range("learned__windows", 2, 10, settings.windows, whole=True)
    yield _range("learned__own", 50, 400, settings.own, whole=True)
    yield _range("learned__found", 50, 500, settings.found, whole=True)
    yield _range("learned__binary_rounds", 20, 300, settings.binary_rounds, whole=True)
    yield _range("learned__pairwise_rounds", 30, 400, settings.pairwise_rounds, whole=True)


def _range(name: str, low: float, high: float, start: float, *, whole: bool = False, sign: int = 1) -> Range:
    """Widen the bounds to hold what there was before."""
    return Range(name, min(low, start), max(high, start), start, whole, sign)


def settings_at(space: Sequence[Range], found: Mapping[str, float]) -> dict[str, Any]:
    """Give the settings of a point in the space by flat names, with no more digits than matter."""
    return {
        one.name: one.sign * (int(found[one.name]) if one.whole else float(f"{found[one.name]:.4g}")) for one in space
    }


def content_at(configuration: TrainingConfiguration, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Put settings over those that a configuration was given, as a TOML file holds them."""
    return merged(configuration.model_dump(exclude_unset=True), settings)


def configured(configuration: TrainingConfiguration, settings: Mapping[str, Any]) -> TrainingConfiguration:
    """Give a configuration with some settings changed."""
    return parse(TrainingConfiguration, content_at(configuration, settings), "settings")
