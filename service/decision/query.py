"""What is asked: the request in the words of the domain, already validated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from models.candidates import CandidateList
from models.counters import NO_COUNTERS
from models.customers import CustomerRecord
from models.item_model import EVERYONE
from models.offers import Placement
from models.profile import Profile
from models.terms import DAY_MINUTES, WEEK_MINUTES

_NONE_HELD: Mapping[str, CandidateList | None] = {}


@dataclass(frozen=True, slots=True)
class Treatment:
    """Says what an experiment does to one slate: the arm that the customer meets, or none where ``rivals`` are set.

    ``rivals`` are two arms, each with the placement under its policy, whose rankings are interleaved.
    ``model_version`` names the model that the arm asks for, empty for the one that is served.
    """

    experiment_id: str
    arm: str = ""
    holdout: bool = False
    rivals: tuple[tuple[str, Placement], ...] = ()
    model_version: str = ""


class SlateQuery(NamedTuple):
    """Asks for one slate: a placement, already as its treatment would have it, and how many offers it may hold."""

    placement: Placement
    size: int
    treatment: Treatment | None = None

    @property
    def model_version(self) -> str:
        """Give the version of the model that is to fill the slate, empty for the one that is served."""
        return self.treatment.model_version if self.treatment is not None else ""


class Query(NamedTuple):
    """Asks for slates, in order of importance.

    ``now`` is in seconds since 1970, UTC; ``utc_offset`` in seconds says how far the customer's clock is ahead of it.
    ``exhausted_offer_ids`` have no free unit in their budget for this customer, or cannot be counted now. ``seed``
    decides whatever is left to chance, so that the same question has the same answer. ``totals`` is what caps count of
    everybody together, by :func:`~models.counters.counter_name`; None where that is not known.
    """

    slates: Sequence[SlateQuery]
    now: float
    channel: str = ""
    context_item_ids: Sequence[str] = ()
    excluded_item_ids: Sequence[str] = ()
    excluded_offer_ids: Sequence[str] = ()
    segment: str = EVERYONE
    explain: bool = False
    utc_offset: int = 0
    language: str = ""
    consent_categories: frozenset[str] = frozenset()
    trace_offer_ids: Sequence[str] = ()
    exhausted_offer_ids: frozenset[str] = frozenset()
    seed: str = ""
    totals: Mapping[str, int] | None = NO_COUNTERS

    @property
    def minute_of_week(self) -> int:
        """Give what the customer's clock shows, in minutes from Monday; 1970 began on a Thursday."""
        return int((self.now + self.utc_offset) // 60 + 3 * DAY_MINUTES) % WEEK_MINUTES


class Customer(NamedTuple):
    """Is whom it is asked for: None as ``candidates`` for an unknown customer or one that could not be read.

    ``record`` is what the shop stored, if anything. ``identity_ids`` are all ids of a customer who has several, in
    order; ``customer_id`` is the first of them then, whichever was asked for. ``counters`` is what caps count of them,
    by :func:`~models.counters.counter_name`; None where that is not known. ``held`` are their lists, if any, in the
    generations that are held, by version of the model; only of those that fill a slate.
    """

    customer_id: str
    candidates: CandidateList | None
    profile: Profile
    record: CustomerRecord | None = None
    identity_ids: tuple[str, ...] = ()
    counters: Mapping[str, int] | None = NO_COUNTERS
    held: Mapping[str, CandidateList | None] = _NONE_HELD

    def under(self, version: str) -> "Customer":
        """Give the customer as a model that is held knows them."""
        return self._replace(candidates=self.held.get(version))

    def is_among(self, customer_ids: frozenset[str]) -> bool:
        """Tell whether the customer, under whichever id, is one of these."""
        return self.customer_id in customer_ids or not customer_ids.isdisjoint(self.identity_ids)
