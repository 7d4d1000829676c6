"""What Redis knows of one customer, and how what lies under several ids of one customer becomes one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice
from operator import attrgetter

import numpy as np

from models.candidates import MAXIMAL_EVIDENCE, NO_EVIDENCE, CandidateList
from models.counters import NO_COUNTERS, add_counters
from models.customers import CustomerRecord, join_records
from models.profile import EMPTY_PROFILE, MAXIMAL_PROFILE_EVENTS, Profile


@dataclass(slots=True)
class CustomerState:
    """Is what Redis knows of one customer. ``candidates`` is None where the generation has no list for them.

    Never changed once it is made; freezing it would cost more than reading it.
    ``record`` is what the shop stored, ``identity_ids`` are all ids of a customer who has several, in order, and
    ``counters`` is what caps count, by :func:`~models.counters.counter_name`; all only where they were asked for.
    """

    candidates: CandidateList | None
    profile: Profile
    record: CustomerRecord | None = None
    identity_ids: tuple[str, ...] = ()
    counters: Mapping[str, int] = field(default_factory=lambda: NO_COUNTERS)


UNKNOWN = CustomerState(None, EMPTY_PROFILE)
"""Is what is known of somebody who was never heard of."""


def join_states(states: Sequence[CustomerState], identity_ids: tuple[str, ...]) -> CustomerState:
    """Make one customer of what lies under each of their ids, which stand in the order of the states."""
    lists = [state.candidates for state in states if state.candidates is not None]
    records = [state.record for state in states if state.record is not None]
    return CustomerState(
        _join_lists(lists) if len(lists) > 1 else next(iter(lists), None),
        _join_profiles([state.profile for state in states]),
        join_records(records) if records else None,
        identity_ids,
        add_counters([state.counters for state in states]),
    )


def _join_profiles(profiles: Sequence[Profile]) -> Profile:
    """Take the newest events of all. Events at the same time are told apart by what they say, whoever's they are."""
    ordered = (sorted(profile.events, key=_newness, reverse=True) for profile in profiles if len(profile.events))
    return Profile(tuple(islice(merge(*ordered, key=_newness, reverse=True), MAXIMAL_PROFILE_EVENTS)))


_newness = attrgetter("event_time", "event_type", "item_id", "offer_id")


def _join_lists(lists: Sequence[CandidateList]) -> CandidateList:
    """Take every item once, with its best score; the evidence of later lists is dropped where there is no more room.

    The outlook is that of the id that sorts first of those that have one: under it linked ids are learned as one.
    """
    evidence: dict[int, int] = {}
    parts = []
    for one in lists:
        places = np.full(NO_EVIDENCE + 1, NO_EVIDENCE, dtype=np.uint8)
        for place, row in enumerate(one.evidence_rows.tolist()):
            if row in evidence or len(evidence) < MAXIMAL_EVIDENCE:
                places[place] = evidence.setdefault(row, len(evidence))
        part = one.candidates.copy()
        part["evidence"] = places[part["evidence"]]
        parts.append(part)
    together = np.concatenate(parts)
    best_first = together[np.lexsort((together["row"], -together["score"].astype(np.float32)))]
    _, first = np.unique(best_first["row"], return_index=True)
    outlook = next((one.outlook for one in lists if one.outlook), 0)
    return CandidateList(best_first[np.sort(first)], np.array(list(evidence), dtype=np.uint32), outlook)
