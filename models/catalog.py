"""The catalogue: everything that a shop has to offer, as one immutable whole, and the changes that lead to the next."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import TypeVar

from models.experiments import Experiment
from models.offers import Audience, Item, Offer, Placement
from models.pace import Pace, unpaced
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

    def apply(self, *changes: CatalogChange, pace: Pace = unpaced) -> "Catalog":
        """Give the catalogue after changes, in their order; its version is that of the last.

        Each kind that they touch is copied once, however many they are. A record that is stored as it was stays the
        same object.
        """
        if not changes:
            return self
        replaced = partial(_replaced, pace=pace)
        return Catalog(
            version=changes[-1].version,
            items=replaced(self.items, [(one.items, one.deleted_item_ids) for one in changes], attrgetter("item_id")),
            offers=replaced(
                self.offers, [(one.offers, one.deleted_offer_ids) for one in changes], attrgetter("offer_id")
            ),
            placements=replaced(
                self.placements, [(one.placements, one.deleted_placements) for one in changes], attrgetter("placement")
            ),
            audiences=replaced(
                self.audiences,
                [(one.audiences, one.deleted_audience_ids) for one in changes],
                attrgetter("audience_id"),
            ),
            experiments=replaced(
                self.experiments,
                [(one.experiments, one.deleted_experiment_ids) for one in changes],
                attrgetter("experiment_id"),
            ),
            triggers=replaced(
                self.triggers, [(one.triggers, one.deleted_triggers) for one in changes], attrgetter("trigger")
            ),
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
    records: Mapping[str, Record],
    steps: Sequence[tuple[tuple[Record, ...], tuple[str, ...]]],
    id_of: Callable[[Record], str],
    pace: Pace,
) -> Mapping[str, Record]:
    """Give the records after ``steps`` of upserted records and deleted ids; the same object when nothing changes."""
    if not any(upserted or deleted for upserted, deleted in steps):
        return records
    replaced = dict(records)
    for upserted, deleted in steps:
        for id_ in deleted:
            replaced.pop(id_, None)
        for record in upserted:
            id_ = id_of(record)
            if replaced.get(id_) != record:
                replaced[id_] = record
        pace()
    return replaced


def _ordered(records: Mapping[str, Record]) -> tuple[Record, ...]:
    return tuple(records[id_] for id_ in sorted(records))
