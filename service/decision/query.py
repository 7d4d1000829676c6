"""What is asked: the request in the words of the domain, already validated."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.candidates import CandidateList
from models.item_model import EVERYONE
from models.offers import Placement
from models.profile import Profile


@dataclass(frozen=True, slots=True)
class SlateQuery:
    """Asks for one slate: a placement and how many offers it may hold."""

    placement: Placement
    size: int


@dataclass(frozen=True, slots=True)
class Query:
    """Asks for slates, in order of importance. ``now`` is in seconds since 1970, UTC."""

    slates: Sequence[SlateQuery]
    now: float
    channel: str = ""
    context_item_ids: Sequence[str] = ()
    excluded_item_ids: Sequence[str] = ()
    excluded_offer_ids: Sequence[str] = ()
    segment: str = EVERYONE
    explain: bool = False


@dataclass(frozen=True, slots=True)
class Customer:
    """Is whom it is asked for: None as ``candidates`` for an unknown customer or one that could not be read."""

    customer_id: str
    candidates: CandidateList | None
    profile: Profile
