"""What came of an experiment, told from the log of events: who was exposed, and what they did afterwards."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from models.comparison import Difference, Interval, Sample, compare, preference, sample_of, sample_ratio
from models.events import EXPOSURE, Event
from models.experiments import Experiment, leads_to

SUSPICIOUS = 0.001
"""Below this the sample ratio is taken for wrong."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Says what one figure came to in one arm, and how it differs from the first arm's.

    ``figure`` is ``conversion`` (the share of customers) or ``revenue`` (minor units per customer); ``attributed``
    tells whether only events count that echo a request id of the experiment, or everything that customers did.
    """

    figure: str
    attributed: bool
    sample: Sample
    difference: Difference | None


@dataclass(frozen=True, slots=True)
class ArmReport:
    """Holds what came of one arm: the customers exposed and the outcomes; ``model_version`` is that of the arm."""

    arm: str
    model_version: str
    customers: int
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class SplitReport:
    """Holds what came of a split. ``crossed`` customers met several arms and are left out.

    Revenue is in ``currency``; ``other_currencies`` counts the events that are left out of it.
    """

    arms: tuple[ArmReport, ...]
    sample_ratio: float
    crossed: int
    currency: str
    other_currencies: int

    @property
    def is_suspicious(self) -> bool:
        """Tell whether the arms' sizes are not what chance makes of the weights."""
        return self.sample_ratio < SUSPICIOUS


@dataclass(frozen=True, slots=True)
class InterleavedReport:
    """Says how many customers gave the second arm more credit than the first (``wins``), fewer, or as much.

    ``preference`` is the share of ``wins`` among those who were not undecided.
    """

    customers: int
    credits: Mapping[str, int]
    wins: int
    losses: int
    ties: int
    preference: Interval
    p_value: float


class _Deed(NamedTuple):
    time: datetime
    revenue: int
    currency: str
    attributed: bool


@dataclass(slots=True)
class _Told:
    """Holds what the log tells of an experiment, by customer.

    An event may be told twice, as by an export and what is newer; ``known`` are those that count already.
    """

    arms: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    exposed: dict[str, datetime] = field(default_factory=dict)
    deeds: dict[str, list[_Deed]] = field(default_factory=lambda: defaultdict(list))
    credits: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    known: set[tuple[str, str]] = field(default_factory=set)


def report_split(experiment: Experiment, events: Iterable[Event], event_type: str) -> SplitReport:
    """Compare the arms of an experiment by the events of one type after each customer's first exposure."""
    told = _read(experiment, events, event_type)
    members: dict[str, list[str]] = {arm.arm: [] for arm in experiment.arms}
    for customer_id, arms in told.arms.items():
        (arm, *others) = arms
        if not others and arm in members:
            members[arm].append(customer_id)
    counted = {customer_id for ids in members.values() for customer_id in ids}
    deeds = {customer_id: _after(told, customer_id) for customer_id in counted}
    currencies = Counter(deed.currency for done in deeds.values() for deed in done if deed.currency)
    currency = currencies.most_common(1)[0][0] if currencies else ""
    samples = {arm: _samples([deeds[id_] for id_ in ids], currency) for arm, ids in members.items()}
    control = samples[experiment.arms[0].arm]
    return SplitReport(
        arms=tuple(
            ArmReport(
                arm.arm,
                arm.model_version,
                len(members[arm.arm]),
                tuple(_outcomes(control, samples[arm.arm], is_control=arm is experiment.arms[0])),
            )
            for arm in experiment.arms
        ),
        sample_ratio=sample_ratio([len(ids) for ids in members.values()], [arm.weight for arm in experiment.arms]),
        crossed=len(told.arms) - len(counted),
        currency=currency,
        other_currencies=sum(count for name, count in currencies.items() if name != currency),
    )


def report_interleaved(experiment: Experiment, events: Iterable[Event], event_type: str) -> InterleavedReport:
    """Credit each arm with the events that echo it, and count for each customer which arm got more."""
    told = _read(experiment, events, event_type)
    first, second = (arm.arm for arm in experiment.arms)
    leads = [given[second] - given[first] for given in told.credits.values()]
    wins, losses = sum(lead > 0 for lead in leads), sum(lead < 0 for lead in leads)
    share, p_value = preference(wins, losses)
    return InterleavedReport(
        customers=len(told.exposed),
        credits={arm: sum(given[arm] for given in told.credits.values()) for arm in (first, second)},
        wins=wins,
        losses=losses,
        ties=len(told.exposed) - wins - losses,
        preference=share,
        p_value=p_value,
    )


def _read(experiment: Experiment, events: Iterable[Event], event_type: str) -> _Told:
    told = _Told()
    for event in events:
        if experiment.end_time is not None and event.event_time >= experiment.end_time:
            continue
        customer_id = event.customer_id
        if event.event_type == EXPOSURE and event.experiment_id == experiment.experiment_id:
            told.arms[customer_id].add(event.arm)
            earlier = told.exposed.get(customer_id, event.event_time)
            told.exposed[customer_id] = min(earlier, event.event_time)
        elif event.event_type == event_type and (customer_id, event.event_id) not in told.known:
            told.known.add((customer_id, event.event_id))
            attributed = leads_to(event.request_id, experiment.experiment_id)
            revenue, currency = (event.value.minor_units, event.value.currency_code) if event.value else (0, "")
            told.deeds[customer_id].append(_Deed(event.event_time, revenue, currency, attributed))
            if attributed and event.arm:
                told.credits[customer_id][event.arm] += 1
    return told


def _after(told: _Told, customer_id: str) -> list[_Deed]:
    """Give what a customer did once they had met the experiment."""
    since = told.exposed[customer_id]
    return [deed for deed in told.deeds.get(customer_id, ()) if deed.time >= since]


_Key = tuple[str, bool]


def _samples(customers: Sequence[Sequence[_Deed]], currency: str) -> dict[_Key, Sample]:
    """Sum each figure up over the customers of one arm."""
    samples = {}
    for attributed in (True, False):
        counting = [[deed for deed in deeds if deed.attributed or not attributed] for deeds in customers]
        revenues = [sum(deed.revenue for deed in deeds if deed.currency == currency) for deeds in counting]
        converted = sum(bool(deeds) for deeds in counting)
        samples["conversion", attributed] = sample_of(len(customers), converted, converted)
        samples["revenue", attributed] = sample_of(
            len(customers), sum(revenues), sum(revenue * revenue for revenue in revenues)
        )
    return samples


def _outcomes(control: Mapping[_Key, Sample], found: Mapping[_Key, Sample], *, is_control: bool) -> Iterable[Outcome]:
    for (figure, attributed), sample in found.items():
        difference = None if is_control else compare(control[figure, attributed], sample)
        yield Outcome(figure, attributed, sample, difference)
