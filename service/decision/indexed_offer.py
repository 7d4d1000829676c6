"""An offer with its terms in the form in which requests check them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.offers import Offer
from models.terms import Cap
from service.decision.conditions import Condition, condition_of
from service.decision.item_facts import ItemFacts
from service.decision.slots import Slots

_FOREVER = float("inf")
_NONE: frozenset[str] = frozenset()
"""One for all: empty sets made each by itself take 216 bytes."""


@dataclass(frozen=True, slots=True, eq=False)
class IndexedOffer:
    """Is an offer worked out against one model and catalogue.

    ``start`` and ``end`` are seconds since 1970, UTC; ``hours`` are ranges of minutes of the week, rising and apart;
    ``item_slots`` (n,) uint32 are those of ``item_ids`` and ``reached_slots`` (n,) uint32 besides those of the filter,
    the most popular item first, without those that the condition rules out. ``caps`` stand with the names of their
    counters, the cooldown with what :attr:`~service.decision.history.History.offer_times` knows it by. Of the parts of
    the condition ``asked`` look at no item, ``mixed`` at the item and at more; the item alone decided the others.
    ``is_special`` says that terms beyond time, place and audience must be checked, ``is_open`` that it is for everyone.
    """

    offer: Offer
    start: float
    end: float
    channels: frozenset[str]
    placements: frozenset[str]
    hours: tuple[tuple[int, int], ...]
    item_slots: NDArray[np.uint32]
    reached_slots: NDArray[np.uint32]
    best_popularity: float
    caps: tuple[tuple[Cap, str], ...]
    consent_category: str
    cooldown_key: tuple[str, str] | None
    cooldown_seconds: int
    condition: Condition | None
    asked: tuple[Condition, ...]
    mixed: tuple[Condition, ...]
    is_special: bool
    is_open: bool

    @property
    def follows_items(self) -> bool:
        """Tell whether what is worked out depends on what the catalogue says of items."""
        return self.offer.item_filter is not None or (self.condition is not None and bool(self.condition.item_names))


def work_out(offer: Offer, slots: Slots, popularity: NDArray[np.float32], facts: ItemFacts) -> IndexedOffer:
    """Work an offer out. ``popularity`` (rows,) is the model's."""
    condition = condition_of(offer.eligibility) if offer.eligibility else None
    parts = condition.parts if condition is not None else ()
    cooldown = offer.cooldown
    item_slots = slots.assign(offer.item_ids)
    reached = facts.not_refuted(condition, item_slots)
    if offer.item_filter is not None:
        reached = np.unique(np.concatenate([reached, facts.covered(offer.item_filter, condition)]))
    worth = np.zeros(len(reached), dtype=np.float32)
    in_model = reached < len(popularity)
    worth[in_model] = popularity[reached[in_model]]
    order = np.argsort(-worth, kind="stable")
    return IndexedOffer(
        offer=offer,
        start=offer.start_time.timestamp() if offer.start_time is not None else -_FOREVER,
        end=offer.end_time.timestamp() if offer.end_time is not None else _FOREVER,
        channels=frozenset(offer.channels) if offer.channels else _NONE,
        placements=frozenset(offer.placements) if offer.placements else _NONE,
        hours=_merged([minutes for hours in offer.weekly_hours for minutes in hours.minutes()]),
        item_slots=item_slots,
        reached_slots=reached[order],
        best_popularity=float(worth[order[0]]) if len(order) else 0.0,
        caps=tuple((cap, cap.counter(offer.offer_id)) for cap in offer.caps),
        consent_category=offer.consent_category,
        cooldown_key=(offer.offer_id, cooldown.event_type) if cooldown is not None else None,
        cooldown_seconds=cooldown.seconds if cooldown is not None else 0,
        condition=condition,
        asked=tuple(part for part in parts if not part.item_names),
        mixed=tuple(part for part in parts if part.is_mixed),
        is_special=bool(
            offer.weekly_hours or offer.consent_category or offer.cooldown or offer.caps or offer.eligibility
        ),
        is_open=not offer.audience_ids,
    )


def _merged(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Join ranges that meet, so that hours that return every day, or all day, are few."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)
