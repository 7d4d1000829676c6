"""AudienceService: whom to tell of an offer or an item, best first, out of all customers."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

from dangol.v1 import audience_service_pb2 as messages
from dangol.v1 import offer_service_pb2
from models.candidate_index import Ranking
from models.errors import PreconditionError
from models.profile import EMPTY_PROFILE
from service.decision.audience import AudienceDecision, Suited
from service.decision.history import NO_HISTORY
from service.decision.query import Customer, Query
from service.decision.snapshot import Snapshot
from service.decision.terms import TermsCheck, TraceRule
from service.handlers.audience_messages import AudienceRequest, audience_request, left_out_counts, resume_token
from service.handlers.audience_search import AudienceSearch, Found
from service.handlers.caller import Caller, Context
from service.handlers.candidate_indexes import CandidateIndexes, Listing, Reading
from service.handlers.caps import Caps
from service.handlers.customer_reads import CustomerReads
from service.handlers.offer_messages import reason_message
from service.handlers.snapshots import Snapshots

BATCH = 500
"""Customers in one message."""
_PROGRESS_INTERVAL = 0.5

_FOR_NOBODY = {
    TraceRule.STATUS: "is not live",
    TraceRule.VALIDITY: "has not begun, or is over, at that time",
    TraceRule.PLACEMENT: "is not for this placement",
    TraceRule.CHANNEL: "is not for this channel",
}
"""Rules that are the same for every customer, in words."""


class AudienceHandlers:
    """Answers AudienceService."""

    def __init__(
        self,
        snapshots: Snapshots,
        reads: CustomerReads,
        caps: Caps,
        indexes: CandidateIndexes,
        now: Callable[[], float] = time.time,
    ) -> None:
        """``now`` gives seconds since 1970, UTC."""
        self._snapshots = snapshots
        self._reads = reads
        self._caps = caps
        self._indexes = indexes
        self._now = now

    async def find_audience(
        self, caller: Caller, requests: AsyncIterator[messages.FindAudienceRequest], context: Context
    ) -> AsyncIterator[messages.FindAudienceResponse]:
        """Find the best customers for an offer or an item; tell on the way how far the lists are read."""
        async for request in requests:
            snapshot = self._snapshots.current(caller.tenant)
            question = audience_request(request, snapshot, self._now())
            query = self._caps.completed(snapshot, question.query, is_lost=False)
            _check_for_somebody(snapshot, question, query)
            since = self._now() - min(question.maximal_age or self._indexes.lifetime, self._indexes.lifetime)
            while (listing := self._indexes.newest(snapshot.model.generation, since)) is None:
                reading = self._indexes.begin(caller.tenant, snapshot.model.generation, snapshot.slots.row_count)
                async for progress in self._progress(caller, reading):
                    yield progress
            async for response in self._answer(caller, snapshot, question, query, listing, context):
                yield response

    async def _progress(self, caller: Caller, reading: Reading) -> AsyncIterator[messages.FindAudienceResponse]:
        """Tell how far the lists are read until they are. UnavailableError."""
        customers = self._snapshots.record(caller.tenant).customers
        while not reading.task.done():
            progress = messages.AudienceProgress(read_count=reading.read_count, customer_count=customers)
            yield messages.FindAudienceResponse(progress=progress)
            await asyncio.wait({reading.task}, timeout=_PROGRESS_INTERVAL)
        await reading.task

    async def _answer(
        self,
        caller: Caller,
        snapshot: Snapshot,
        question: AudienceRequest,
        query: Query,
        listing: Listing,
        context: Context,
    ) -> AsyncIterator[messages.FindAudienceResponse]:
        # Both walk over all items or customers: other calls go on meanwhile.
        decision = await asyncio.to_thread(AudienceDecision, snapshot, question.asked)
        ranking = await asyncio.to_thread(listing.index.rank, decision.rows)
        search = AudienceSearch(
            self._reads,
            caller.tenant,
            snapshot,
            decision,
            listing.index,
            query,
            self._snapshots.keeps_records,
        )
        answer = _Answer(question, snapshot, listing, ranking)
        async with aclosing(search.in_order(ranking, question.after, context)) as found:
            async for batch in answer.batches(found):
                context.facts["customers"] = answer.found_count
                yield batch
        yield answer.summary()


class _Answer:
    """Puts what was found into messages, and counts."""

    def __init__(self, question: AudienceRequest, snapshot: Snapshot, listing: Listing, ranking: Ranking) -> None:
        self._question = question
        self._snapshot = snapshot
        self._listing = listing
        self._candidates = len(ranking)
        self._left_out: Counter[TraceRule] = Counter()
        self._token = ""
        self.found_count = 0

    async def batches(self, found: AsyncIterator[Found]) -> AsyncIterator[messages.FindAudienceResponse]:
        """Give the customers whom something suits, until there are enough."""
        batch = messages.AudienceBatch()
        async for standing, customer_id, verdict in found:
            if -standing.negative_score < self._question.minimal_score:
                break
            if isinstance(verdict, TraceRule):
                self._left_out[verdict] += 1
                continue
            self._add(batch, customer_id, verdict)
            rank = self._question.rank + self.found_count
            batch.resume_token = resume_token(self._question, self._snapshot.model.generation, standing, rank)
            if len(batch.customers) == BATCH or self.found_count == self._question.limit:
                yield messages.FindAudienceResponse(batch=batch)
                self._token, batch = batch.resume_token, messages.AudienceBatch()
            if self.found_count == self._question.limit:
                return
        self._token = ""
        if batch.customers:
            yield messages.FindAudienceResponse(batch=batch)

    def _add(self, batch: messages.AudienceBatch, customer_id: str, suited: Suited) -> None:
        self.found_count += 1
        reasons = suited.reasons if self._question.query.explain else suited.reasons[:1]
        batch.customers.add(
            customer_id=customer_id,
            score=suited.score,
            rank=self._question.rank + self.found_count,
            item_id=suited.item_id,
            reasons=map(reason_message, reasons),
        )

    def summary(self) -> messages.FindAudienceResponse:
        """Sum up."""
        summary = messages.AudienceSummary(
            candidate_count=self._candidates,
            considered_count=self.found_count + self._left_out.total(),
            found_count=self.found_count,
            left_out_counts=left_out_counts(self._left_out),
            resume_token=self._token,
            served=offer_service_pb2.Served(
                model_version=self._snapshot.model.model_version, generation=self._snapshot.model.generation
            ),
        )
        summary.lists_time.FromMicroseconds(int(self._listing.time * 1e6))
        return messages.FindAudienceResponse(summary=summary)


def _check_for_somebody(snapshot: Snapshot, question: AudienceRequest, query: Query) -> None:
    """PreconditionError when there is nobody whom the offer could be shown to there and then."""
    indexed = question.asked.indexed
    if indexed is None:
        return
    terms = TermsCheck(snapshot, query, Customer("", None, EMPTY_PROFILE), NO_HISTORY)
    offer_id = indexed.offer.offer_id
    rule = terms.rule_against(offer_id, question.asked.placement.placement)
    if rule in _FOR_NOBODY:
        raise PreconditionError(f"the offer {offer_id} {_FOR_NOBODY[rule]}")
