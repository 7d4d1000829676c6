"""Keeps the models that arms of experiments name in memory, as long as their generations are held."""

from collections.abc import Collection, Sequence

import structlog

from models.errors import ArtifactError, NotFoundError
from models.item_model import ItemModel
from service.decision.snapshot import ServedModel
from service.store.generation_record import GenerationRecord
from service.store.model_store import ModelStore


class HeldModels:
    """Holds one model for each version that is named and held. Where no arm names any, Redis is not asked."""

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self._kept: dict[GenerationRecord, ServedModel] = {}
        self._damaged: set[int] = set()
        self._log = structlog.get_logger("dangol")

    @property
    def models(self) -> Sequence[ServedModel]:
        """Give what is in memory, one for each version."""
        return list(self._kept.values())

    def record(self, generation: int) -> GenerationRecord | None:
        """Give the record of a generation that is in memory."""
        return next((record for record in self._kept if record.generation == generation), None)

    async def refresh(self, tenant: str, versions: Collection[str]) -> None:
        """Take up what is held of these versions, and let all else go. UnavailableError when Redis fails."""
        newest: dict[str, GenerationRecord] = {}
        for record in await self._store.held(tenant) if versions else ():
            if record.model_version in versions:
                newest.setdefault(record.model_version, record)
        known = {record.generation: model for record, model in self._kept.items()}
        kept: dict[GenerationRecord, ServedModel] = {}
        for record in newest.values():
            model = known.get(record.generation) or await self._load(tenant, record)
            if model is not None:
                kept[record] = model
        self._kept = kept

    async def _load(self, tenant: str, record: GenerationRecord) -> ServedModel | None:
        """Load a model; None, told once, when what is held cannot be used."""
        if record.generation in self._damaged:
            return None
        try:
            model = served_model(record, await self._store.load_items(tenant, record))
        except (NotFoundError, ArtifactError) as error:
            self._damaged.add(record.generation)
            self._log.error("a held model cannot be used", generation=record.generation, problem=str(error))
            return None
        self._log.info("holding", generation=record.generation, model_version=record.model_version)
        return model


def served_model(record: GenerationRecord, items: ItemModel) -> ServedModel:
    """Put a generation and its item side together."""
    last = record.last_event_time
    trained_until = last.timestamp() if last is not None else float("-inf")
    return ServedModel(record.generation, record.model_version, items, trained_until)
