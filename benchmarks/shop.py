"""A shop of any size made of random numbers, published into a private Redis: what serving is measured on."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from models.candidates import BOUGHT_FLAG, CANDIDATE, NO_EVIDENCE, CandidateTable, Source
from models.catalog import CatalogChange
from models.item_model import EVERYONE, ItemModel
from models.offers import Item, Money, Offer, ShareOff
from models.progress import SilentProgress
from models.registry import Registry
from models.vocabulary import Vocabulary
from service.publisher import publish
from service.store.catalog_store import apply_blocking
from service.store.connection import RedisSettings, connect_blocking
from service.store.embedded import EmbeddedRedis
from service.store.exports import CATALOG_BATCH
from service.store.generation_store import GenerationStore

_LIST_LENGTH = 100
_EVIDENCE = 16
_NEIGHBORS = 20
_CHUNK = 10_000


def customer_id(number: int) -> str:
    """Name a customer; names are in the order of their numbers."""
    return f"customer-{number:08d}"


def item_id(number: int) -> str:
    """Name an item."""
    return f"item-{number:06d}"


@dataclass(frozen=True, slots=True)
class PublishedShop:
    """Is a shop in a Redis of its own, and the folder of whatever serves it."""

    directory: Path
    redis: EmbeddedRedis


@contextlib.contextmanager
def published_shop(customers: int, items: int, offers: int) -> Iterator[PublishedShop]:
    """Publish a shop as :func:`publish_shop` does; all of it goes when the context ends."""
    with tempfile.TemporaryDirectory(prefix="dangol-bench-") as temporary:
        directory = Path(temporary)
        with EmbeddedRedis(directory / "redis") as redis:
            publish_shop(redis.url, directory, customers, items, offers)
            yield PublishedShop(directory, redis)


def publish_shop(redis_url: str, directory: Path, customers: int, items: int, offers: int, seed: int = 7) -> None:
    """Write a model with a list of 100 for every customer, publish it, and store items and offers (5 items each)."""
    randomness = np.random.default_rng(seed)
    registry = Registry(directory / "models")
    version = write_model(registry, customers, items, randomness)
    with connect_blocking(RedisSettings(redis_url)) as connection:
        for change in catalog(items, offers, randomness):
            apply_blocking(connection, "local", change)
        publish(registry, version, GenerationStore(connection), "local", SilentProgress())


def write_model(registry: Registry, customers: int, items: int, randomness: np.random.Generator) -> str:
    """Write a model with a list of 100 for every customer, and give its version."""
    with registry.writer() as writer:
        writer.write_items(_model(items, randomness))
        writer.write_factors(np.ones((items, 1), dtype=np.float32))
        for start in range(0, customers, _CHUNK):
            writer.write_lists(_table(range(start, min(start + _CHUNK, customers)), items, randomness))
        manifest = writer.finish(
            first_event_time=datetime(2025, 1, 1, tzinfo=UTC),
            last_event_time=datetime(2025, 6, 30, tzinfo=UTC),
            counts={"customers": customers, "items": items},
            configuration={},
            metrics={},
        )
    return manifest.model_version


def _model(items: int, randomness: np.random.Generator) -> ItemModel:
    popularity = np.sort(randomness.random(items, dtype=np.float32))[::-1].copy()
    everyone = np.zeros(min(_LIST_LENGTH, items), dtype=CANDIDATE)
    everyone["row"] = np.arange(len(everyone))
    everyone["score"] = popularity[: len(everyone)]
    everyone["source"] = Source.POPULAR
    everyone["evidence"] = NO_EVIDENCE
    return ItemModel(
        vocabulary=Vocabulary([item_id(number) for number in range(items)]),
        popularity=popularity,
        neighbor_rows=randomness.integers(0, items, (items, _NEIGHBORS), dtype=np.uint32),
        neighbor_scores=-np.sort(-randomness.random((items, _NEIGHBORS), dtype=np.float32), axis=1),
        neighbor_counts=np.full(items, _NEIGHBORS, dtype=np.uint16),
        shared_lists={EVERYONE: everyone},
    )


def _table(numbers: range, items: int, randomness: np.random.Generator) -> CandidateTable:
    count = len(numbers)
    length = min(_LIST_LENGTH, items)
    candidates = np.zeros((count, length), dtype=CANDIDATE)
    # Distinct rows in each list: a random start and a stride that shares no factor with the number of items.
    starts = randomness.integers(0, items, (count, 1))
    candidates["row"] = (starts + np.arange(length) * 7919) % items
    candidates["score"] = -np.sort(-randomness.random((count, length)), axis=1)
    rebuys = np.arange(length) % 5 == 0
    candidates["source"] = np.where(rebuys, Source.REBUY | BOUGHT_FLAG, Source.COLLABORATIVE)
    candidates["evidence"] = np.where(rebuys, NO_EVIDENCE, np.arange(length) % _EVIDENCE)
    return CandidateTable(
        [customer_id(number) for number in numbers],
        candidates,
        np.full(count, length, dtype=np.uint16),
        randomness.integers(0, items, (count, _EVIDENCE), dtype=np.uint32),
        np.full(count, _EVIDENCE, dtype=np.uint8),
    )


def catalog(items: int, offers: int, randomness: np.random.Generator) -> Iterator[CatalogChange]:
    """Give all items, with random prices, then offers on 5 of them each, in batches."""
    prices = randomness.integers(100, 10_000, items).tolist()
    stored = [
        Item(item_id(number), f"Item number {number}", "category", Money(price, "EUR"))
        for number, price in enumerate(prices)
    ]
    for start in range(0, items, CATALOG_BATCH):
        yield CatalogChange(items=tuple(stored[start : start + CATALOG_BATCH]))
    made = [
        Offer(
            f"offer-{number:06d}",
            tuple(item_id(row) for row in randomness.choice(items, 5, replace=False)),
            title=f"Offer number {number}",
            discount=ShareOff(1_500),
            end_time=datetime(2100, 1, 1, tzinfo=UTC),
        )
        for number in range(offers)
    ]
    for start in range(0, offers, CATALOG_BATCH):
        yield CatalogChange(offers=tuple(made[start : start + CATALOG_BATCH]))
