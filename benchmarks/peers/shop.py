"""One shop for all: purchases, one fit of implicit, its factors for the peers and its lists for Dangol."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import redis
import scipy.sparse
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from benchmarks.shop import catalog, customer_id, item_id
from models.candidates import CANDIDATE, MAXIMAL_EVIDENCE, NO_EVIDENCE, CandidateTable, Source
from models.catalog import CatalogChange
from models.item_model import EVERYONE, ItemModel
from models.offers import Item, Offer
from models.progress import SilentProgress
from models.registry import Registry
from models.terms import Cap, CapPeriod
from models.vocabulary import Vocabulary
from service.publisher import publish
from service.store.catalog_store import apply_blocking
from service.store.connection import RedisSettings, connect_blocking
from service.store.generation_store import GenerationStore
from training.als import Factors, fit, nearest_items, random_factors
from training.config import FactorSettings

_FACTORS, _SWEEPS, _THREADS = 64, 10, 2
_PURCHASES, _TASTES = 20, 50
_LIST_LENGTH, _NEIGHBORS, _CHUNK = 100, 20, 2_000
_CAP = Cap(5, period=CapPeriod.DAY)
_CONDITION = "item.price >= 150"


def make_shop(folder: Path, redis_url: str, customers: int, items: int, offers: int) -> None:
    """Fit one model, write it to ``folder/model`` for the peers, and publish its lists and the catalogue to Redis.

    Redis also gets each item as the peers read it. A tenth of the offers has a cap, another tenth a condition.
    """
    randomness = np.random.default_rng(7)
    purchases = _purchases(customers, items, randomness)
    settings = FactorSettings(factors=_FACTORS)
    confidence = purchases * np.float32(settings.confidence_scale)
    factors = fit(confidence, random_factors((customers, items), settings, 7), settings, _SWEEPS, _THREADS)
    changes = [_on_terms(change) for change in catalog(items, offers, randomness)]
    sold = {item.item_id: _told(item) for change in changes for item in change.items}
    _write_for_peers(folder / "model", purchases, factors, sold)
    registry = Registry(folder / "models")
    version = _write_for_dangol(registry, purchases, factors)
    with redis.Redis.from_url(redis_url) as connection:
        connection.mset({f"item:{name}": json.dumps(item) for name, item in sold.items()})
    with connect_blocking(RedisSettings(redis_url)) as blocking:
        for change in changes:
            apply_blocking(blocking, "local", change)
        publish(registry, version, GenerationStore(blocking), "local", SilentProgress())


def _purchases(customers: int, items: int, randomness: np.random.Generator) -> csr_matrix:
    """Draw what each customer bought: half by what all like, half from the part of the shop that is to their taste."""
    popularity = 1 / np.arange(1, items + 1) ** 0.8
    shape = (customers, _PURCHASES // 2)
    common = randomness.choice(items, size=shape, p=popularity / popularity.sum())
    tastes = randomness.integers(0, _TASTES, (customers, 1))
    own = (randomness.integers(0, items // _TASTES, shape) * _TASTES + tastes) % items
    columns = np.concatenate([common, own], axis=1).ravel()
    rows = np.repeat(np.arange(customers), _PURCHASES)
    bought = csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=(customers, items))
    bought.sum_duplicates()
    return bought


def _on_terms(change: CatalogChange) -> CatalogChange:
    return replace(change, offers=tuple(_with_terms(number, offer) for number, offer in enumerate(change.offers)))


def _with_terms(number: int, offer: Offer) -> Offer:
    if number % 10 == 0:
        return replace(offer, caps=(_CAP,))
    return replace(offer, eligibility=_CONDITION) if number % 10 == 5 else offer


def _told(item: Item) -> dict[str, object]:
    """Give what the peers tell of an item."""
    price = item.price
    if price is None:
        raise ValueError(f"{item.item_id} has no price")
    told = {"title": item.title, "category": item.category}
    return {**told, "price": price.minor_units, "currency": price.currency_code}


def _write_for_peers(folder: Path, purchases: csr_matrix, factors: Factors, sold: dict[str, dict[str, object]]) -> None:
    folder.mkdir()
    model = AlternatingLeastSquares(factors=_FACTORS)
    model.user_factors, model.item_factors = factors.customers, factors.items
    model.save(str(folder / "model.npz"))
    scipy.sparse.save_npz(folder / "purchases.npz", purchases)
    customers, items = purchases.shape
    ids = {"customers": [customer_id(row) for row in range(customers)], "items": [item_id(row) for row in range(items)]}
    (folder / "ids.json").write_text(json.dumps(ids))
    (folder / "items.json").write_text(json.dumps(sold))


def _write_for_dangol(registry: Registry, purchases: csr_matrix, factors: Factors) -> str:
    """Write the artifact with the best items of every customer by the same factors, and give its version."""
    with registry.writer() as writer:
        writer.write_items(_item_model(purchases))
        writer.write_factors(factors.items)
        for table in _lists(purchases, factors):
            writer.write_lists(table)
        manifest = writer.finish(
            first_event_time=datetime(2025, 1, 1, tzinfo=UTC),
            last_event_time=datetime(2025, 6, 30, tzinfo=UTC),
            counts={"customers": purchases.shape[0], "items": purchases.shape[1]},
            configuration={},
            metrics={},
        )
    return manifest.model_version


def _item_model(purchases: csr_matrix) -> ItemModel:
    items = purchases.shape[1]
    sales = np.bincount(purchases.indices, minlength=items)
    rows, scores, counts = nearest_items(purchases.astype(np.float64), _NEIGHBORS, _THREADS)
    everyone = np.zeros(_LIST_LENGTH, dtype=CANDIDATE)
    everyone["row"] = np.argsort(-sales, kind="stable")[:_LIST_LENGTH]
    everyone["score"] = sales[everyone["row"]] / sales.max()
    everyone["source"], everyone["evidence"] = Source.POPULAR, NO_EVIDENCE
    return ItemModel(
        vocabulary=Vocabulary([item_id(row) for row in range(items)]),
        popularity=(sales / sales.max()).astype(np.float32),
        neighbor_rows=rows,
        neighbor_scores=scores / np.maximum(scores.max(axis=1, keepdims=True), 1),
        neighbor_counts=counts,
        shared_lists={EVERYONE: everyone},
    )


def _lists(purchases: csr_matrix, factors: Factors) -> Iterator[CandidateTable]:
    model = AlternatingLeastSquares(factors=_FACTORS, num_threads=_THREADS)
    model.user_factors, model.item_factors = factors.customers, factors.items
    likeness = factors.items / np.maximum(np.linalg.norm(factors.items, axis=1, keepdims=True), 1e-9)
    for start in range(0, purchases.shape[0], _CHUNK):
        numbers = range(start, min(start + _CHUNK, purchases.shape[0]))
        bought = purchases[numbers.start : numbers.stop]
        rows, scores = model.recommend(np.array(numbers), bought, N=_LIST_LENGTH, filter_already_liked_items=True)
        evidence, counts = _evidence(bought)
        candidates = np.zeros(rows.shape, dtype=CANDIDATE)
        candidates["row"], candidates["score"], candidates["source"] = rows, scores, Source.COLLABORATIVE
        alike = likeness[rows] @ likeness[evidence].transpose(0, 2, 1)
        alike[np.broadcast_to((np.arange(MAXIMAL_EVIDENCE) >= counts[:, None])[:, None], alike.shape)] = -1
        candidates["evidence"] = alike.argmax(axis=2)
        yield CandidateTable(
            [customer_id(number) for number in numbers],
            candidates,
            np.full(len(numbers), _LIST_LENGTH, dtype=np.uint16),
            evidence,
            counts,
        )


def _evidence(bought: csr_matrix) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """Give of each customer's purchases as many as a list carries: rows (n, 16), of which the first counts (n,) are."""
    counts = np.minimum(np.diff(bought.indptr), MAXIMAL_EVIDENCE).astype(np.uint8)
    positions = np.minimum(np.arange(MAXIMAL_EVIDENCE), counts[:, None].astype(int) - 1)
    return bought.indices[bought.indptr[:-1, None] + positions].astype(np.uint32), counts
