"""What one request is answered from: one catalogue and one model, taken at its start and used to its end."""

from dataclasses import dataclass, field

from models.catalog import Catalog
from models.item_model import ItemModel
from models.offers import Placement
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
    """Holds everything that is not about the customer."""

    catalog: Catalog
    model: ServedModel
    slots: Slots
    offers: OfferIndex
    experiments: RunningExperiments = field(default_factory=dict)

    def placement(self, name: str) -> Placement | None:
        """Give the rules of a placement, or None when it does not exist."""
        found = self.catalog.placements.get(name)
        return DEFAULT_PLACEMENT if found is None and name == DEFAULT_PLACEMENT.placement else found

    def shows(self, slot: int) -> bool:
        """Tell whether the shop has an item."""
        return self.offers.facts.shows(slot)


def build_snapshot(catalog: Catalog, model: ServedModel, now: float, previous: Snapshot | None) -> Snapshot:
    """Index a catalogue against a model.

    Pure apart from its cost, which is proportional to what changed since ``previous`` plus one counting sort over
    all (offer, item) pairs: run it off the event loop.
    """
    same_model = previous is not None and previous.model is model
    if previous is not None and same_model:
        slots = previous.slots
        offers = previous.offers
        if catalog.offers is not previous.catalog.offers or catalog.items is not previous.catalog.items:
            offers = index_offers(catalog.offers, catalog.items, slots, model.items.popularity, now, previous.offers)
    else:
        slots = Slots(model.items.vocabulary)
        offers = index_offers(catalog.offers, catalog.items, slots, model.items.popularity, now, None)
    return Snapshot(catalog, model, slots, offers, index_experiments(catalog.experiments))
