"""The catalogue: everything that a shop has to offer, as one immutable whole, and the changes that lead to the next."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from models.experiments import Experiment
from models.offers import Audience, Item, Offer, Placement
from models.triggers import Trigger

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Expectation:
    """Says in which state a record must still be, named by its etag.

    ``kind`` is ``offers``, ``placements``, ``experiments`` or ``triggers``.
    """

    kind: str
    record_id: str
    etag: str


@dataclass(frozen=True, slots=True)
class CatalogChange:
    """Is a batch that comes into force whole: deletions first, then upserts, so that an id in both is stored.

    ``version`` is the version of the catalogue that the change leads to; 0 as long as it is not stored. It is only
    stored while all ``expectations`` are met; they are no part of what is stored.
    """

    items: tuple[Item, ...] = ()
    offers: tuple[Offer, ...] = ()
    placements: tuple[Placement, ...] = ()
    audiences: tuple[Audience, ...] = ()
    experiments: tuple[Experiment, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    deleted_item_ids: tuple[str, ...] = ()
    deleted_offer_ids: tuple[str, ...] = ()
    deleted_placements: tuple[str, ...] = ()
    deleted_audience_ids: tuple[str, ...] = ()
    deleted_experiment_ids: tuple[str, ...] = ()
    deleted_triggers: tuple[str, ...] = ()
    version: int = 0
    expectations: tuple[Expectation, ...] = ()

    def __len__(self) -> int:
        return (
            len(self.items)
            + len(self.offers)
            + len(self.placements)
            + len(self.audiences)
            + len(self.experiments)
            + len(self.triggers)
            + len(self.deleted_item_ids)
            + len(self.deleted_offer_ids)
            + len(self.deleted_placements)
            + len(self.deleted_audience_ids)
            + len(self.deleted_experiment_ids)
            + len(self.deleted_triggers)
        )


@dataclass(frozen=True, slots=True)
class Catalog:
    """Holds what the shop has at one ``version``, each kind by id. Never changed: :meth:`apply` gives the next one.

    A kind that a change leaves alone is the same object before and after, so that what is derived from it may be kept.
    """

    version: int = 0
    items: Mapping[str, Item] = field(default_factory=dict)
    offers: Mapping[str, Offer] = field(default_factory=dict)
    placements: Mapping[str, Placement] = field(default_factory=dict)
    audiences: Mapping[str, Audience] = field(default_factory=dict)
    experiments: Mapping[str, Experiment] = field(default_factory=dict)
    triggers: Mapping[str, Trigger] = field(default_factory=dict)

    def apply(self, change: CatalogChange) -> "Catalog":
        """Give the catalogue after a change; its version is that of the change."""
        return Catalog(
            version=change.version,
            items=_replaced(self.items, change.items, change.deleted_item_ids, lambda item: item.item_id),
            offers=_replaced(self.offers, change.offers, change.deleted_offer_ids, lambda offer: offer.offer_id),
            placements=_replaced(
                self.placements, change.placements, change.deleted_placements, lambda placement: placement.placement
            ),
            audiences=_replaced(
                self.audiences, change.audiences, change.deleted_audience_ids, lambda audience: audience.audience_id
            ),
            experiments=_replaced(
                self.experiments, change.experiments, change.deleted_experiment_ids, lambda one: one.experiment_id
            ),
            triggers=_replaced(self.triggers, change.triggers, change.deleted_triggers, lambda one: one.trigger),
        )

    def as_change(self) -> CatalogChange:
        """Give the change that leads from nothing to this catalogue, each kind ordered by id."""
        return CatalogChange(
            items=_ordered(self.items),
            offers=_ordered(self.offers),
            placements=_ordered(self.placements),
            audiences=_ordered(self.audiences),
            experiments=_ordered(self.experiments),
            triggers=_ordered(self.triggers),
        )


EMPTY_CATALOG = Catalog()
"""The catalogue of a shop that said nothing yet."""


def _replaced(
    records: Mapping[str, Record], upserted: tuple[Record, ...], deleted: Iterable[str], id_of: Callable[[Record], str]
) -> Mapping[str, Record]:
    if not upserted and not deleted:
        return records
    replaced = dict(records)
    for id_ in deleted:
        replaced.pop(id_, None)
    for record in upserted:
        replaced[id_of(record)] = record
    return replaced


def _ordered(records: Mapping[str, Record]) -> tuple[Record, ...]:
    return tuple(records[id_] for id_ in sorted(records))
