"""A shop with two models that share no item, so that an answer made of both of them gives itself away.

Every customer's own list is known from their number and holds other items than everyone's list: an answer also tells
whether it really came from Redis.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from dangol.v1.offer_service_pb2 import RankedOffer, Served
from models.candidates import CANDIDATE, NO_EVIDENCE, CandidateTable, Source
from models.catalog import EMPTY_CATALOG, CatalogChange
from models.item_model import EVERYONE, ItemModel
from models.offers import Item, Money, Offer, ShareOff
from models.registry import Registry
from models.vocabulary import Vocabulary
from service.store.exports import write_catalog

LETTERS = ("a", "b")
PLACEMENT = "default"
SLATE = 10
_HALF = 50  # everyone's list holds the items below, the customers' own lists those from here on
_CHUNK = 1_000
_OFFERED = 5  # every fifth item has an offer


@dataclass(frozen=True, slots=True)
class Shop:
    """Knows what must be answered. ``letters`` maps each model version to what its items begin with."""

    customers: int
    letters: Mapping[str, str]

    def version(self, letter: str) -> str:
        """Give the model version of a letter."""
        return next(version for version, found in self.letters.items() if found == letter)

    def problem_of(self, customer: int, offers: Sequence[RankedOffer], served: Served) -> str:
        """Say what is wrong with an answer; empty when nothing is."""
        letter = self.letters.get(served.model_version)
        if letter is None:
            return f"an unknown model served: {served.model_version!r}"
        found = [offer.item_id for offer in offers]
        strange = [id_ for id_ in found if not id_.startswith(letter)]
        strange += [offer.offer_id for offer in offers if offer.offer_id and not offer.offer_id.startswith(letter)]
        if strange:
            return f"mixed: model {letter} with {strange}"
        rows = range(SLATE) if served.degraded else own_rows(customer)
        if found != [item_id(letter, row) for row in rows]:
            return f"{'degraded' if served.degraded else 'whole'} answer with the wrong list: {found}"
        return ""


def customer_id(number: int) -> str:
    """Name a customer; names are in the order of their numbers."""
    return f"customer-{number:06d}"


def item_id(letter: str, row: int) -> str:
    """Name an item of the model of a letter."""
    return f"{letter}-{row:03d}"


def own_rows(customer: int) -> list[int]:
    """Give the rows that a customer's own list begins with, best first."""
    return [_HALF + (customer * 7 + place) % _HALF for place in range(SLATE)]


def write_shop(home: Path, customers: int) -> Shop:
    """Write both models to the registry under ``home``, the first one current, and the catalogue as its export."""
    registry = Registry(home / "models")
    letters = {_write_model(registry, letter, customers): letter for letter in LETTERS}
    registry.promote(next(iter(letters)))
    (home / "exports").mkdir()
    write_catalog(home / "exports" / "catalog.jsonl", EMPTY_CATALOG.apply(catalog()))
    return Shop(customers, letters)


def catalog() -> CatalogChange:
    """Give items and offers of both models."""
    names = [item_id(letter, row) for letter in LETTERS for row in range(2 * _HALF)]
    return CatalogChange(
        items=tuple(Item(name, f"Item {name}", price=Money(1_000, "EUR")) for name in names),
        offers=tuple(Offer(f"{name}-offer", (name,), discount=ShareOff(1_000)) for name in names[::_OFFERED]),
    )


def _write_model(registry: Registry, letter: str, customers: int) -> str:
    with registry.writer() as writer:
        writer.write_items(_items(letter))
        writer.write_factors(np.ones((2 * _HALF, 2), dtype=np.float32))
        for start in range(0, customers, _CHUNK):
            writer.write_lists(_lists(range(start, min(start + _CHUNK, customers))))
        manifest = writer.finish(
            first_event_time=datetime(2025, 1, 1, tzinfo=UTC),
            last_event_time=datetime(2025, 6, 30, tzinfo=UTC),
            counts={"customers": customers, "items": 2 * _HALF},
            configuration={},
            metrics={},
        )
    return manifest.model_version


def _items(letter: str) -> ItemModel:
    count = 2 * _HALF
    everyone = np.zeros(_HALF, dtype=CANDIDATE)
    everyone["row"] = np.arange(_HALF)
    everyone["score"] = np.linspace(1.0, 0.5, _HALF)
    everyone["source"], everyone["evidence"] = Source.POPULAR, NO_EVIDENCE
    return ItemModel(
        vocabulary=Vocabulary([item_id(letter, row) for row in range(count)]),
        popularity=np.linspace(1.0, 0.05, count, dtype=np.float32),
        neighbor_rows=np.zeros((count, 1), dtype=np.uint32),
        neighbor_scores=np.zeros((count, 1), dtype=np.float32),
        neighbor_counts=np.zeros(count, dtype=np.uint16),
        shared_lists={EVERYONE: everyone},
    )


def _lists(numbers: range) -> CandidateTable:
    count = len(numbers)
    candidates = np.zeros((count, _HALF), dtype=CANDIDATE)
    candidates["row"] = _HALF + (np.array(numbers)[:, None] * 7 + np.arange(_HALF)) % _HALF
    candidates["score"] = np.linspace(1.0, 0.5, _HALF)
    candidates["source"], candidates["evidence"] = Source.COLLABORATIVE, NO_EVIDENCE
    return CandidateTable(
        [customer_id(number) for number in numbers],
        candidates,
        np.full(count, _HALF, dtype=np.uint16),
        np.zeros((count, 1), dtype=np.uint32),
        np.zeros(count, dtype=np.uint8),
    )
