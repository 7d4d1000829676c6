"""ModelService: what is served, and moving between models."""

from collections.abc import Callable, Sequence

from dangol.v1 import model_service_pb2 as messages
from service.handlers.caller import Caller, Context
from service.handlers.customer_reads import CustomerReads
from service.handlers.snapshots import Snapshots
from service.handlers.validation import check, id_problem
from service.store.generation_record import Gate, GenerationRecord, GenerationState
from service.store.model_store import ModelStore

_STATES = {
    GenerationState.WRITING: messages.GENERATION_STATE_WRITING,
    GenerationState.LIVE: messages.GENERATION_STATE_LIVE,
    GenerationState.RETIRED: messages.GENERATION_STATE_RETIRED,
}

_VERDICTS = {
    Gate.UNASKED: messages.GATE_VERDICT_UNASKED,
    Gate.PASSED: messages.GATE_VERDICT_PASSED,
    Gate.REFUSED: messages.GATE_VERDICT_REFUSED,
}


class ModelHandlers:
    """Answers ModelService."""

    def __init__(
        self,
        store: ModelStore,
        snapshots: Snapshots,
        reads: CustomerReads,
        on_move: Callable[[str, str], None] = lambda _version, _note: None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """``on_move`` is told which version is served from now on, and what moved it; ``on_change`` of what is held."""
        self._store = store
        self._snapshots = snapshots
        self._reads = reads
        self._on_move = on_move
        self._on_change = on_change

    async def get_served_model(
        self, caller: Caller, _request: messages.GetServedModelRequest, _context: Context
    ) -> messages.GetServedModelResponse:
        """Tell what this process serves."""
        return messages.GetServedModelResponse(
            generation=_generation(self._snapshots.record(caller.tenant)),
            degraded=self._reads.is_open or self._snapshots.is_failing,
        )

    async def list_generations(
        self, caller: Caller, _request: messages.ListGenerationsRequest, _context: Context
    ) -> messages.ListGenerationsResponse:
        """List what Redis holds, newest first."""
        records = await self._store.generations(caller.tenant)
        return messages.ListGenerationsResponse(generations=map(_generation, _newest_first(records)))

    async def promote_model(
        self, caller: Caller, request: messages.PromoteModelRequest, _context: Context
    ) -> messages.PromoteModelResponse:
        """Move the pointer to a published version and name it in the registry."""
        check("model_version", id_problem(request.model_version))
        record = await self._store.promote(caller.tenant, request.model_version, force=request.force)
        forced = request.force and record.gate is not Gate.PASSED
        await self._moved(record, "PromoteModel, forced in spite of the gate" if forced else "PromoteModel")
        return messages.PromoteModelResponse(generation=_generation(record))

    async def roll_back_model(
        self, caller: Caller, _request: messages.RollBackModelRequest, _context: Context
    ) -> messages.RollBackModelResponse:
        """Move the pointer back and name that version in the registry."""
        record = await self._store.roll_back(caller.tenant)
        await self._moved(record, "RollBackModel")
        return messages.RollBackModelResponse(generation=_generation(record))

    async def hold_model(
        self, caller: Caller, request: messages.HoldModelRequest, _context: Context
    ) -> messages.HoldModelResponse:
        """Keep a published version, whatever is served."""
        check("model_version", id_problem(request.model_version))
        record = await self._store.hold(caller.tenant, request.model_version)
        await self._changed()
        return messages.HoldModelResponse(generation=_generation(record))

    async def release_model(
        self, caller: Caller, request: messages.ReleaseModelRequest, _context: Context
    ) -> messages.ReleaseModelResponse:
        """Let a version that is held go."""
        check("model_version", id_problem(request.model_version))
        record = await self._store.release(caller.tenant, request.model_version)
        await self._changed()
        return messages.ReleaseModelResponse(generation=_generation(record))

    async def _changed(self) -> None:
        self._on_change()
        await self._snapshots.refresh()

    async def _moved(self, record: GenerationRecord, note: str) -> None:
        self._on_move(record.model_version, note)
        await self._snapshots.refresh()


def _newest_first(records: Sequence[GenerationRecord]) -> list[GenerationRecord]:
    """Leave out what a publisher gave up: it was never served and is about to vanish."""
    known = (record for record in records if record.state in _STATES)
    return sorted(known, key=lambda record: record.generation, reverse=True)


def _generation(record: GenerationRecord) -> messages.Generation:
    message = messages.Generation(
        gate_verdict=_VERDICTS[record.gate],
        generation=record.generation,
        model_version=record.model_version,
        customer_count=record.customers,
        state=_STATES[record.state],
    )
    if record.publish_time is not None:
        message.publish_time.FromDatetime(record.publish_time)
    if record.hold_time is not None:
        message.hold_time.FromDatetime(record.hold_time)
    return message
