"""From candidates to slates: one lazy pass that stops when the slate is full, or what the placement's policy makes."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import NamedTuple, cast

from models.candidates import BOUGHT_FLAG
from models.offers import Offer, Rebuys
from service.decision.arbitration import Arbiter, Contender, Factors
from service.decision.arrangement import AppliedRule, arrange
from service.decision.candidate_stream import Ranked, Replay, context_strengths, stream_candidates
from service.decision.explanation import Explainer
from service.decision.history import read_history, unwelcome_slots
from service.decision.indexed_offer import IndexedOffer
from service.decision.interleaving import team_draft
from service.decision.offer_index import OfferView
from service.decision.pairing import Pairing
from service.decision.query import Customer, Query, SlateQuery, Treatment
from service.decision.reasons import CAMPAIGN, FALLBACK, Reason
from service.decision.snapshot import Snapshot
from service.decision.terms import TermsCheck

MINIMAL_CONTENDERS = 100
"""How many contenders a policy chooses from, if there are so many: as many as a customer's list holds."""


class Choice(NamedTuple):
    """Is one place in a slate: an item with the offer made on it or alone, and why; a fallback may have no item."""

    pairing: Pairing
    score: float
    reasons: tuple[Reason, ...]
    factors: Factors | None = None
    applied_rules: tuple[AppliedRule, ...] = ()
    arm: str = ""
    selection_probability: float = 0.0

    @property
    def item_id(self) -> str:
        """Give the item, empty where there is none."""
        return self.pairing.item_id

    @property
    def offer(self) -> Offer | None:
        """Give the offer, None for an item alone."""
        return self.pairing.offer

    @property
    def names(self) -> tuple[tuple[str, str], ...]:
        """Give what the choice takes up, by kind: nothing of it may stand a second time."""
        if self.offer is None:
            return (("item", self.item_id),)
        return ("item", self.item_id), ("offer", self.offer.offer_id)


_made = cast("Callable[[tuple[object, ...]], Choice]", partial(tuple.__new__, Choice))
"""Makes a choice of all its fields. A named tuple's own constructor is a Python function: six times as long."""


def decide(snapshot: Snapshot, query: Query, customer: Customer) -> list[list[Choice]]:
    """Fill the slates asked for, in order of importance; no item and no offer stands twice in the answer.

    Each slate takes items in the order of :func:`stream_candidates`, each with the best offer that may be shown, else
    as a plain item where the placement allows; then what campaigns for this customer hold. Policies that are not plain
    choose from what comes first in this order. What would be empty holds the placement's fallback, if there is one.
    """
    decision = Decisions(snapshot, query, customer) if snapshot.held else Decision(snapshot, query, customer)
    return [decision.fill(slate) for slate in query.slates]


class Decision:
    """Holds what one answer has used up so far."""

    def __init__(self, snapshot: Snapshot, query: Query, customer: Customer) -> None:
        self._snapshot = snapshot
        self._query = query
        self._customer = customer
        self._history = read_history(customer.profile, snapshot.slots)
        context = snapshot.slots.find_all(query.context_item_ids)
        rows = [slot for slot in context if slot < snapshot.slots.row_count]
        self._used_slots = context | snapshot.slots.find_all(query.excluded_item_ids) | self._history.dismissed_slots
        self.terms = TermsCheck(snapshot, query, customer, self._history)
        model = snapshot.model.items
        strengths = context_strengths(model, rows) if rows else {}
        stream = stream_candidates(customer.candidates, model, query.segment, strengths)
        walked_once = len(query.slates) == 1 and query.slates[0].treatment is None
        self._candidates: Iterable[Ranked] = stream if walked_once else Replay(stream)
        self._explainer = Explainer(snapshot, customer, self._history, rows, query.segment)
        self._explain = self._explainer.every if query.explain else self._explainer.first

    def fill(self, slate: SlateQuery) -> list[Choice]:
        """Fill one slate."""
        if slate.size <= 0:
            return []
        self.terms.begin(slate.placement.placement)
        choices = self._rank(slate) if slate.treatment is None else self._treat(slate, slate.treatment)
        return choices or self._fall_back(slate)

    def _rank(self, slate: SlateQuery) -> list[Choice]:
        return self._pass(slate) if slate.placement.policy.is_plain else self._compose(slate)

    def _treat(self, slate: SlateQuery, treatment: Treatment) -> list[Choice]:
        """Rank as an experiment says."""
        if treatment.holdout:
            return []
        if not treatment.rivals:
            return self._rank(slate)
        used_slots, barred = self._used_slots, self.terms.barred
        rankings = []
        for arm, placement in treatment.rivals:
            self._used_slots, self.terms.barred = used_slots.copy(), barred.copy()
            ranking = self._rank(slate._replace(placement=placement))
            rankings.append([choice._replace(arm=arm) for choice in ranking])
        self._used_slots, self.terms.barred = used_slots, barred
        names = [[choice.names for choice in ranking] for ranking in rankings]
        chosen = [rankings[team][place] for team, place in team_draft(names, slate.size, self._seed_of(slate))]
        self.use_up(chosen)
        return chosen

    def _seed_of(self, slate: SlateQuery) -> str:
        return f"{self._query.seed}/{slate.placement.placement}/{self._customer.customer_id}"

    def use_up(self, choices: Iterable[Choice]) -> None:
        """Let nothing of what was chosen stand a second time."""
        for choice in choices:
            slot = self._snapshot.slots.find(choice.item_id)
            if slot is not None:
                self._used_slots.add(slot)
            if choice.offer is not None:
                self.terms.use(choice.offer.offer_id)

    def free_slot(self, indexed: IndexedOffer, blocked: set[int]) -> int | None:
        """Give the most popular item of an offer that may still be shown; None when there is none."""
        fits = self.terms.fits
        slots = indexed.reached_slots.tolist()
        return next((slot for slot in slots if self.is_free(slot, blocked) and fits(indexed, slot)), None)

    def is_free(self, slot: int, blocked: set[int]) -> bool:
        """Tell whether an item may still be shown."""
        return slot not in self._used_slots and slot not in blocked and self._snapshot.shows(slot)

    def unwelcome(self, rebuys: Rebuys) -> set[int]:
        """Give the slots that a placement's rule on rebuys keeps out, besides candidates with BOUGHT_FLAG."""
        return unwelcome_slots(rebuys, self._customer.candidates, self._history, self._snapshot.model.trained_until)

    def _pass(self, slate: SlateQuery) -> list[Choice]:
        """Take what comes, until the slate is full."""
        choices: list[Choice] = []
        blocked = self.unwelcome(slate.placement.rebuys)
        score = 0.0
        use, bar, explain = self._used_slots.add, self.terms.barred.add, self._explain
        for ranked, pairing in islice(self._showable(slate, blocked), slate.size):
            slot, score, _, _ = ranked
            use(slot)
            if pairing.offer_id:
                bar(pairing.offer_id)
            reasons = explain(ranked)
            choices.append(_made((pairing, score, reasons, None, (), "", 0.0)))
        if len(choices) == slate.size:
            return choices
        for slot, indexed in self._campaigns(slate, blocked):
            choices.append(self._take(slot, indexed, _campaign_score(score, indexed), CAMPAIGN))
            if len(choices) == slate.size:
                return choices
        return choices

    def _showable(self, slate: SlateQuery, blocked: set[int]) -> Iterator[tuple[Ranked, Pairing]]:
        """Give the candidates that may stand in a slate, each with the best offer on it; use up what is taken."""
        refuse_bought = slate.placement.rebuys is Rebuys.REFUSED
        used, barred, view = self._used_slots, self.terms.barred, self._view(slate)
        suits = self.terms.suits
        for ranked in self._candidates:
            slot = ranked[0]
            if slot in used or slot in blocked or (refuse_bought and ranked[2] & BOUGHT_FLAG):
                continue
            for pairing in view[slot]:
                if pairing.offer_id not in barred and (
                    not pairing.is_conditional or pairing.indexed is None or suits(pairing.indexed, slot)
                ):
                    yield ranked, pairing
                    break
            else:
                later = view.after(slot)
                found = self.terms.first_of(later, slot) if later else None
                if found is not None:
                    yield ranked, found

    def _view(self, slate: SlateQuery) -> OfferView:
        placement, query = slate.placement, self._query
        return self._snapshot.offers.view(
            placement.placement, query.channel, query.now, plain_items=placement.plain_items
        )

    def _campaigns(self, slate: SlateQuery, blocked: set[int]) -> Iterator[tuple[int, IndexedOffer]]:
        """Give offers that may be shown to this customer, each on its most popular item that is still free."""
        snapshot = self._snapshot
        if len(snapshot.offers) == 0:
            return
        view = self._view(slate)
        audiences = snapshot.offers.audiences_of(self._customer, snapshot.catalog.audiences)
        for indexed in snapshot.offers.reachable(audiences):
            if view.admits(indexed) and self.terms.lets(indexed):
                slot = self.free_slot(indexed, blocked)
                if slot is not None:
                    yield slot, indexed

    def _take(self, slot: int, indexed: IndexedOffer, score: float, reasons: tuple[Reason, ...]) -> Choice:
        self._use(slot, indexed.offer)
        return Choice(self.pair(slot, indexed), score, reasons)

    def _use(self, slot: int, offer: Offer | None) -> None:
        self._used_slots.add(slot)
        if offer is not None:
            self.terms.use(offer.offer_id)

    def _compose(self, slate: SlateQuery) -> list[Choice]:
        """Choose from the first contenders as the placement's policy says."""
        blocked = self.unwelcome(slate.placement.rebuys)
        used_slots, barred = self._used_slots.copy(), self.terms.barred.copy()
        gathered: list[Contender] = []
        pinned = self._pin(gathered, slate, blocked)
        self._gather(gathered, slate, blocked)
        # While they were gathered, nothing could stand twice; only what is chosen stays used up.
        self._used_slots, self.terms.barred = used_slots, barred
        arbiter = Arbiter(self._snapshot, self._query, self._customer, slate.placement)
        judged = arbiter.judge(gathered)
        return [
            self._choice_of(gathered[index], judged.scores[index], arbiter, applied, probability)
            for index, applied, probability in arrange(
                judged, pinned, slate, self._snapshot.model.items, self._seed_of(slate)
            )
        ]

    def _choice_of(
        self,
        contender: Contender,
        score: float,
        arbiter: Arbiter,
        applied: tuple[AppliedRule, ...],
        probability: float,
    ) -> Choice:
        slot, pairing, ranked, _ = contender
        self._use(slot, pairing.offer)
        reasons = self._explain(ranked) if ranked is not None else CAMPAIGN
        factors = arbiter.factors(contender) if self._query.explain else None
        return Choice(pairing, score, reasons, factors, applied, "", probability)

    def _pin(self, contenders: list[Contender], slate: SlateQuery, blocked: set[int]) -> dict[int, int]:
        """Add what has a fixed place, and give places from 0; one beyond the slate is its last free one."""
        pinned: dict[int, int] = {}
        view = self._view(slate)
        for pin in sorted(slate.placement.policy.pins, key=lambda pin: pin.rank):
            indexed = self._snapshot.offers.get(pin.offer_id)
            place = min(pin.rank - 1, slate.size - 1)
            while place in pinned:
                place -= 1
            if place < 0 or indexed is None or indexed.offer.fallback:
                continue
            if not view.admits(indexed) or not self.terms.lets(indexed):
                continue
            slot = self.free_slot(indexed, blocked)
            if slot is not None:
                pinned[place] = len(contenders)
                contenders.append((slot, self.pair(slot, indexed), None, 0.0))
                self._use(slot, indexed.offer)
        return pinned

    def _gather(self, contenders: list[Contender], slate: SlateQuery, blocked: set[int]) -> None:
        """Add candidates, then campaigns, until there are enough; all that :meth:`_showable` says holds here too."""
        enough = max(MINIMAL_CONTENDERS, 2 * slate.size)
        used, barred = self._used_slots, self.terms.barred
        score = 0.0
        for ranked, pairing in islice(self._showable(slate, blocked), enough - len(contenders)):
            slot, score, _, _ = ranked
            used.add(slot)
            if pairing.offer_id:
                barred.add(pairing.offer_id)
            contenders.append((slot, pairing, ranked, score))
        for slot, indexed in islice(self._campaigns(slate, blocked), enough - len(contenders)):
            contenders.append((slot, self.pair(slot, indexed), None, _campaign_score(score, indexed)))
            self._use(slot, indexed.offer)

    def pair(self, slot: int, indexed: IndexedOffer) -> Pairing:
        """Put an item and an offer on it together."""
        return Pairing.on(self._snapshot.slots.ids[slot], self._snapshot.offers.facts.at(slot), indexed)

    def _fall_back(self, slate: SlateQuery) -> list[Choice]:
        """Give the placement's first fallback that may be shown, on its most popular free item if there is one."""
        offers, view = self._snapshot.offers, self._view(slate)
        wanted = slate.placement.policy.fallback_offer_ids
        named = (indexed for offer_id in wanted if (indexed := offers.get(offer_id)) is not None)
        blocked = self.unwelcome(slate.placement.rebuys)
        for indexed in named if wanted else offers.fallbacks:
            if indexed.offer.fallback and view.admits(indexed) and self.terms.lets(indexed):
                slot = self.free_slot(indexed, blocked)
                if slot is not None:
                    return [self._take(slot, indexed, 0.0, FALLBACK)]
                self.terms.use(indexed.offer.offer_id)
                return [Choice(Pairing.on("", None, indexed), 0.0, FALLBACK)]
        return []


class Decisions:
    """Lets each slate of an answer be filled by its model; what one of them shows, no other one does."""

    def __init__(self, snapshot: Snapshot, query: Query, customer: Customer) -> None:
        self._snapshot = snapshot
        self._query = query
        self._customer = customer
        self._made: dict[str, Decision] = {}
        self._chosen: list[Choice] = []

    def of(self, slate: SlateQuery) -> Decision:
        """Give the decision that fills a slate, at its state before that."""
        version = self._snapshot.held_version(slate.model_version)
        decision = self._made.get(version)
        if decision is None:
            customer = self._customer.under(version) if version else self._customer
            decision = self._made[version] = Decision(self._snapshot.under(version), self._query, customer)
            decision.use_up(self._chosen)
        return decision

    def fill(self, slate: SlateQuery) -> list[Choice]:
        """Fill one slate."""
        decision = self.of(slate)
        choices = decision.fill(slate)
        for other in self._made.values():
            if other is not decision:
                other.use_up(choices)
        self._chosen += choices
        return choices


def _campaign_score(last: float, indexed: IndexedOffer) -> float:
    """Give a score below whatever stood before; popularity is in 0 … 1, so that the order is kept."""
    return last - 1.0 + indexed.best_popularity
