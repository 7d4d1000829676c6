"""One search through a ranking of customers: each is read and judged, the likeliest first, until there are enough."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.candidate_index import CandidateIndex, Ranking
from models.errors import UnavailableError
from service.decision.audience import AudienceDecision, Suited
from service.decision.best_first import BestFirst, Standing
from service.decision.query import Customer, Query
from service.decision.snapshot import Snapshot
from service.decision.terms import TraceRule
from service.handlers.caller import Context
from service.handlers.customer_reads import CustomerReads
from service.handlers.personal import customer_of, personal_query

_READ = 250  # customers in one read: more would hold up the reads of single customers behind it
_CUSTOMERS_PER_TURN = 16  # that are judged before other calls get their turn: about a millisecond
_ATTEMPTS = 5
_PAUSE = 0.2  # seconds; a stream that takes seconds outlives a stall of Redis


class Found(NamedTuple):
    """Is one customer who was looked at: where they stand, and what suits them or the rule that leaves them out."""

    standing: Standing
    customer_id: str
    verdict: Suited | TraceRule


@dataclass(frozen=True, slots=True)
class AudienceSearch:
    """Looks at the customers of a ranking. ``query`` is what is asked of everybody."""

    reads: CustomerReads
    tenant: str
    snapshot: Snapshot
    decision: AudienceDecision
    index: CandidateIndex
    query: Query
    keeps_records: bool

    async def in_order(self, ranking: Ranking, after: Standing | None, context: Context) -> AsyncGenerator[Found, None]:
        """Give customers in the order of their standing, those after ``after``; UnavailableError.

        Nobody can be worth more than they are ranked by, but less: where the best of their items may not be shown.
        """
        held: BestFirst[tuple[str, Suited | TraceRule]] = BestFirst()
        seen: set[str] = set()
        for places in _portions(ranking, self._start(ranking, after)):
            customers = await self._read(ranking, places, context)
            for number, (place, customer) in enumerate(zip(places, customers, strict=True)):
                if customer.customer_id not in seen:
                    seen.add(customer.customer_id)
                    verdict = self._judge(customer)
                    held.add(_standing(ranking, place, verdict), (customer.customer_id, verdict))
                if number % _CUSTOMERS_PER_TURN == 0:
                    await asyncio.sleep(0)
            context.budget(1.0)
            bound = _standing(ranking, places.stop) if places.stop < len(ranking) else None
            for standing, (customer_id, verdict) in held.before(bound):
                if after is None or standing > after:
                    yield Found(standing, customer_id, verdict)

    def _start(self, ranking: Ranking, after: Standing | None) -> int:
        """Give the first place to look at. With several items, who stood above may be worth less, and still to come."""
        if after is None or len(self.decision.rows) > 1:
            return 0
        score = np.float32(-after.negative_score)
        begin, end = (int(np.searchsorted(-ranking.scores, -score, side)) for side in ("left", "right"))
        return begin + int(np.searchsorted(ranking.digests[begin:end], np.uint64(after.digest), "right"))

    def _judge(self, customer: Customer) -> Suited | TraceRule:
        query = self.query
        if customer.record is not None:
            # The zone of the question is for those whose own is not known.
            query = personal_query(query, customer.record, time_zone="")
        return self.decision.judge(query, customer)

    async def _read(self, ranking: Ranking, places: range, context: Context) -> list[Customer]:
        """Read customers as they are now, and again when that cannot be done at once."""
        names = [self.index.customer_id(int(ranking.positions[place])) for place in places]
        for attempt in range(_ATTEMPTS):
            read = await self.reads.read(
                self.tenant,
                self.snapshot.model.generation,
                names,
                context,
                with_records=self.keeps_records,
                with_counters=bool(self.snapshot.offers.caps),
            )
            if read is not None:
                return [customer_of(name, state) for name, state in zip(names, read.customers, strict=True)]
            await asyncio.sleep(_PAUSE * (attempt + 1))
        raise UnavailableError("customers cannot be read now; go on later with the newest resume token")


def _portions(ranking: Ranking, start: int) -> Iterator[range]:
    for begin in range(start, len(ranking), _READ):
        yield range(begin, min(begin + _READ, len(ranking)))


def _standing(ranking: Ranking, place: int, verdict: Suited | TraceRule | None = None) -> Standing:
    """Give where a customer stands: by what they are ranked by, or by what suits them if that is worth less."""
    score = float(ranking.scores[place])
    if isinstance(verdict, Suited):
        score = min(score, verdict.score)
    return Standing(-score, int(ranking.digests[place]))
