"""What one request is answered from: one catalogue and one model, taken at its start and used to its end."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from models.catalog import Catalog
from models.item_model import ItemModel
from models.offers import Placement
from models.pace import Pace, unpaced
from service.decision.experiments import RunningExperiments, index_experiments
from service.decision.offer_index import OfferIndex, index_offers
from service.decision.slots import Slots

DEFAULT_PLACEMENT = Placement("default")
"""Always exists, so that a fresh shop can ask; the catalogue may redefine it."""


@dataclass(frozen=True, slots=True, eq=False)
class ServedModel:
    """Is one generation: its number, the version of the model, and the model's item side.

    ``trained_until`` is the time of the last event that it learnt from (seconds since 1970): a purchase after it counts
    as later than the training. Minus infinity, where it is not known, counts every live purchase.
    """

    generation: int
    model_version: str
    items: ItemModel
    trained_until: float = float("-inf")


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Holds everything that is not about the customer.

    ``held`` are the same catalogue under the models that arms of experiments name, by version, but for the one that is
    served.
    """

    catalog: Catalog
    model: ServedModel
    slots: Slots
    offers: OfferIndex
    experiments: RunningExperiments = field(default_factory=dict)
    held: Mapping[str, "Snapshot"] = field(default_factory=dict)

    def under(self, version: str) -> "Snapshot":
        """Give the snapshot of a model; this one where none is named, or one that is not there."""
        return self.held.get(version, self)

    def held_version(self, version: str) -> str:
        """Give the version if it is held, else nothing: the model that is served fills slates then."""
        return version if version in self.held else ""

    def shared_by(self, versions: Iterable[str]) -> "Snapshot":
        """Give the snapshot that slates of these models were all filled from; this one where there are several."""
        if not self.held:
            return self
        first, *others = {id(found): found for found in map(self.under, versions)}.values()
        return self if others else first

    def is_of(self, catalog: Catalog, model: ServedModel, held: Collection[ServedModel]) -> bool:
        """Tell whether the snapshot was made of these."""
        others = [one.model for one in self.held.values()]
        return self.catalog is catalog and self.model is model and others == list(held)

    def has(self, version: str) -> bool:
        """Tell whether slates can be filled by the version that an arm names, empty for the one that is served."""
        return not version or version == self.model.model_version or version in self.held

    def placement(self, name: str) -> Placement | None:
        """Give the rules of a placement, or None when it does not exist."""
        found = self.catalog.placements.get(name)
        return DEFAULT_PLACEMENT if found is None and name == DEFAULT_PLACEMENT.placement else found

    def shows(self, slot: int) -> bool:
        """Tell whether the shop has an item."""
        return self.offers.facts.shows(slot)

    def leftovers(self, successor: "Snapshot") -> list[object]:
        """Give the many small things that a successor may do without.

        Whoever keeps them until the snapshot is gone decides how many of them are freed at once.
        """
        things: list[object] = []
        if successor.catalog.items is not self.catalog.items:
            things += self.catalog.items.values()
        if successor.offers is not self.offers:
            things += self.catalog.offers.values()
            for one in (self, *self.held.values()):
                things += one.offers.remembered()
        return things


def build_snapshot(
    catalog: Catalog,
    model: ServedModel,
    now: float,
    previous: Snapshot | None,
    held: Iterable[ServedModel] = (),
    pace: Pace = unpaced,
) -> Snapshot:
    """Index a catalogue against a model, and against each of those that are held.

    Pure apart from its cost, which is proportional to what changed since ``previous`` plus one counting sort over
    all (offer, item) pairs: run it off the event loop.
    """
    same = previous if previous is not None and previous.model is model else None
    slots = same.slots if same is not None else Slots(model.items.vocabulary)
    if same is not None and catalog.offers is same.catalog.offers and catalog.items is same.catalog.items:
        offers = same.offers
    else:
        indexed, popularity = same.offers if same is not None else None, model.items.popularity
        offers = index_offers(catalog.offers, catalog.items, slots, popularity, now, indexed, pace)
        if previous is not None:
            offers.take_over(previous.offers, now, pace, same_slots=same is not None)
    known = previous.held if previous is not None else {}
    others = {
        one.model_version: build_snapshot(catalog, one, now, known.get(one.model_version), pace=pace) for one in held
    }
    return Snapshot(catalog, model, slots, offers, index_experiments(catalog.experiments), others)
