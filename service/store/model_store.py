"""Models as a server process sees them: which generation is live, its item side, and moving between generations."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from models.errors import NotFoundError
from models.fold_model import FoldModel, decode_fold_model
from models.item_model import ItemModel, decode_item_model
from models.progress import SilentProgress
from service.store.connection import AsyncConnection
from service.store.customer_sample import sample_customers
from service.store.faults import reaching_redis
from service.store.generation_record import GenerationRecord
from service.store.generation_store import GenerationStore
from service.store.generation_sweep import is_due, sweep
from service.store.keys import MetaKeys


@dataclass(frozen=True, slots=True)
class Heads:
    """Says what is newest: the live generation and the version of the catalogue.

    ``pointer`` is None when nothing is published or Redis is empty; ``catalog_version`` is 0 then. ``keeps_records``
    says whether the shop ever stored anything of a customer.
    """

    pointer: GenerationRecord | None
    catalog_version: int
    keeps_records: bool


class ModelStore:
    """Reads models, and moves the pointer. Failures of Redis are UnavailableError throughout.

    Moves and sweeps are rare jobs: they run on a thread, with the blocking store that the publisher uses.
    """

    def __init__(self, connection: AsyncConnection, generations: GenerationStore) -> None:
        self._client = connection.client
        self._generations = generations

    async def heads(self, tenant: str) -> Heads:
        """Ask for what is newest in one small command, fit for polling."""
        meta = MetaKeys(tenant)
        with reaching_redis():
            pointer, version, customers = await self._client.execute_command(
                "MGET", meta.pointer, meta.catalog_version, meta.customers
            )
        record = None if pointer is None else GenerationRecord.from_json(pointer)
        return Heads(record, int(version or 0), customers is not None)

    async def pointer(self, tenant: str) -> GenerationRecord | None:
        """Give the live generation; None when nothing is published or Redis is empty."""
        return (await self.heads(tenant)).pointer

    async def generations(self, tenant: str) -> list[GenerationRecord]:
        """List what is known of generations, newest first."""
        with reaching_redis():
            records = await self._client.execute_command("HGETALL", MetaKeys(tenant).generations)
        return sorted(map(GenerationRecord.from_json, records.values()), key=lambda record: -record.generation)

    async def held(self, tenant: str) -> list[GenerationRecord]:
        """List the generations that are held, newest first."""
        return [record for record in await self.generations(tenant) if record.hold_time is not None]

    async def load_items(self, tenant: str, record: GenerationRecord) -> ItemModel:
        """Load the item side of a generation. NotFoundError when parts of it are gone, ArtifactError when damaged."""
        meta, generation = MetaKeys(tenant), record.generation
        content = await self._joined([meta.model_part(generation, part) for part in range(record.parts)], generation)
        return await asyncio.to_thread(decode_item_model, content, f"items of generation {generation}")

    async def load_fold(self, tenant: str, record: GenerationRecord) -> FoldModel | None:
        """Load the factors of a generation; None when it was published without. Errors as :meth:`load_items`."""
        if record.fold_parts == 0:
            return None
        meta, generation = MetaKeys(tenant), record.generation
        content = await self._joined(
            [meta.fold_part(generation, part) for part in range(record.fold_parts)], generation
        )
        return await asyncio.to_thread(decode_fold_model, content, f"fold model of generation {generation}")

    async def _joined(self, names: Sequence[str], generation: int) -> bytes:
        parts = []
        for name in names:
            with reaching_redis():
                part = await self._client.execute_command("GET", name)
            if part is None:
                raise NotFoundError(f"the model of generation {generation} is gone from Redis")
            parts.append(part)
        return b"".join(parts)

    async def sample_customers(self, tenant: str, generation: int, count: int) -> list[str]:
        """Give up to ``count`` customers that have a list in a generation, as Redis happens to come upon them."""
        return await asyncio.to_thread(sample_customers, self._generations.connection, tenant, generation, count)

    async def promote(self, tenant: str, model_version: str, *, force: bool = False) -> GenerationRecord:
        """Serve the newest generation of a version; call :meth:`sweep` afterwards. NotFoundError, ConflictError.

        PreconditionError unless the gate had let it through, or ``force``.
        """
        return await asyncio.to_thread(self._generations.promote, tenant, model_version, force=force)

    async def roll_back(self, tenant: str) -> GenerationRecord:
        """Serve the generation that was live before; :meth:`sweep` afterwards. PreconditionError, ConflictError."""
        return await asyncio.to_thread(self._generations.roll_back, tenant)

    async def hold(self, tenant: str, model_version: str) -> GenerationRecord:
        """Hold the newest generation of a version; :meth:`sweep` afterwards. NotFoundError, ConflictError."""
        return await asyncio.to_thread(self._generations.hold, tenant, model_version)

    async def release(self, tenant: str, model_version: str) -> GenerationRecord:
        """Let what is held of a version go; :meth:`sweep` afterwards. NotFoundError, ConflictError."""
        return await asyncio.to_thread(self._generations.release, tenant, model_version)

    async def sweep(self, tenant: str) -> None:
        """Do what is due on generations that came or went. Call it after a move and about once a minute."""
        now = await asyncio.to_thread(self._generations.now)
        if is_due(await self.generations(tenant), now):
            await asyncio.to_thread(sweep, self._generations, tenant, SilentProgress())
