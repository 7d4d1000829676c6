"""How much of what the factors see of an item comes from which of the customer's own events; only if asked."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from dangol.v1 import offer_service_pb2
from models.errors import DangolError
from models.folding import Folder
from service.decision.query import Customer
from service.decision.snapshot import Snapshot
from service.store.generation_record import GenerationRecord
from service.store.model_store import ModelStore

Shares = Mapping[str, Sequence[tuple[str, float]]]
"""Holds by item the items of the customer's events, each with its share, the largest first."""


_KEPT = 3  # generations: the one that is served, and those of arms


class Evidence:
    """Shares scores out. Holds the factors of some generations, of which an explanation was asked last."""

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self._lock = asyncio.Lock()
        self._folders: dict[int, Folder | None] = {}

    async def shares(
        self,
        tenant: str,
        record: GenerationRecord,
        snapshot: Snapshot,
        customer: Customer,
        item_ids: Iterable[str],
        now: float,
    ) -> Shares | None:
        """Share out the factors' score of items at ``now``, in seconds since 1970, over the customer's newest events.

        ``record`` is that of the snapshot's generation. Empty for a generation without factors, and for whoever did
        nothing that tells; None when the factors cannot be read.
        """
        if not customer.profile.events:
            return {}
        try:
            folder = await self._folder(tenant, record, snapshot)
        except DangolError:
            return None
        if folder is None:
            return {}
        return await asyncio.to_thread(_shared_out, folder, snapshot, customer, list(item_ids), now)

    async def _folder(self, tenant: str, record: GenerationRecord, snapshot: Snapshot) -> Folder | None:
        async with self._lock:
            generation = record.generation
            if generation not in self._folders:
                model = await self._store.load_fold(tenant, record)
                folder = None if model is None else await asyncio.to_thread(Folder, model, snapshot.model.items)
                self._folders[generation] = folder
            # The one that was asked of last stands last.
            self._folders[generation] = self._folders.pop(generation)
            if len(self._folders) > _KEPT:
                del self._folders[next(iter(self._folders))]
            return self._folders[generation]


def _shared_out(folder: Folder, snapshot: Snapshot, customer: Customer, item_ids: Sequence[str], now: float) -> Shares:
    history = folder.history(customer.profile.events, datetime.fromtimestamp(now, UTC))
    vocabulary = snapshot.model.items.vocabulary
    rows = {item_id: row for item_id in item_ids if (row := vocabulary.row_of(item_id)) is not None}
    liked = np.flatnonzero(history.weights > 0)
    if len(liked) == 0 or not rows:
        return {}
    shares = folder.shares(history, np.fromiter(rows.values(), dtype=np.int64))[:, liked]
    names = [snapshot.slots.ids[row] for row in history.rows[liked].tolist()]
    return {
        item_id: sorted(zip(names, own, strict=True), key=lambda one: (-abs(one[1]), one[0]))
        for item_id, own in zip(rows, shares.tolist(), strict=True)
    }


def add_shares(slates: Iterable[offer_service_pb2.Slate], shares: Shares) -> None:
    """Write shares to the offers of slates."""
    for slate in slates:
        for offer in slate.offers:
            for item_id, share in shares.get(offer.item_id, ()):
                offer.evidence_shares.add(item_id=item_id, share=share)
                offer.collaborative_score += share
