"""Events, catalogues and lists for tests of the store, fixed and drawn at random."""

from datetime import UTC, datetime

import numpy as np
from hypothesis import strategies

from models.candidates import CANDIDATE, CandidateTable
from models.catalog import CatalogChange
from models.events import EVENT_TYPES, Event
from models.experiments import Arm, Experiment, ExperimentMode, ExperimentStatus
from models.offers import (
    AmountOff,
    Audience,
    Item,
    ItemFilter,
    Money,
    NewPrice,
    Offer,
    OfferStatus,
    Placement,
    Rebuys,
    ShareOff,
)
from models.policy import ContextWeight, Exploration, Factor, Lever, Pin, Policy, Promotion, Rotation, ScoreMode
from models.quiet_hours import QuietHours
from models.terms import Budget, Cap, CapEvent, CapPeriod, CapScope, Cooldown, Representation, WeeklyHours
from models.triggers import Trigger, TriggerKind, TriggerStatus
from service.store.offer_codec import compact_json

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

identifiers = strategies.text(strategies.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=128).filter(
    lambda text: len(text.encode()) <= 128
)
times = strategies.datetimes(
    min_value=datetime(1990, 1, 1),  # noqa: DTZ001 - hypothesis wants naive bounds and adds the zone
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001 - as above
    timezones=strategies.just(UTC),
)
money = strategies.builds(
    Money, strategies.integers(0, 2**53), strategies.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=3, max_size=3)
)
texts = strategies.text(strategies.characters(exclude_categories=["Cs"]), max_size=40)
tuples_of_ids = strategies.lists(identifiers, max_size=3).map(tuple)
events = strategies.builds(
    Event,
    event_id=identifiers,
    customer_id=identifiers,
    event_type=strategies.sampled_from(EVENT_TYPES),
    event_time=times,
    item_id=identifiers,
    offer_id=strategies.just("") | identifiers,
    quantity=strategies.floats(0, 1_000_000),
    value=strategies.none() | money,
    channel=strategies.sampled_from(["", "web"]),
    rating=strategies.floats(0, 5),
    query=texts,
    request_id=texts,
    arm=texts,
    experiment_id=texts,
    placement=strategies.sampled_from(["", "home-top"]),
)
items = strategies.builds(
    Item, identifiers, title=texts, category=texts, price=strategies.none() | money, labels=tuples_of_ids
)
discounts = (
    strategies.builds(ShareOff, strategies.integers(1, 10_000))
    | strategies.builds(AmountOff, money)
    | strategies.builds(NewPrice, money)
)
item_filters = strategies.builds(
    ItemFilter, tuples_of_ids, tuples_of_ids, strategies.none() | money, strategies.none() | money
)
representations = strategies.builds(
    Representation,
    placements=tuples_of_ids,
    channels=tuples_of_ids,
    language=strategies.sampled_from(["", "de", "pt-BR"]),
    title=texts,
    text=texts,
    image_uri=texts,
    link_uri=texts,
    content=strategies.just("") | strategies.dictionaries(texts, texts | strategies.integers(0, 9)).map(compact_json),
)
weekly_hours = strategies.builds(
    WeeklyHours,
    strategies.lists(strategies.integers(0, 6), unique=True).map(tuple),
    strategies.integers(0, 1439),
    strategies.integers(1440, 2879),
)
caps = strategies.builds(
    Cap,
    strategies.integers(1, 10**9),
    strategies.sampled_from(CapScope),
    strategies.sampled_from(CapEvent),
    strategies.sampled_from(CapPeriod),
    strategies.sampled_from(["", "home-top"]),
    strategies.sampled_from(["", "web"]),
)
offers = strategies.builds(
    Offer,
    identifiers,
    tuples_of_ids,
    title=texts,
    discount=strategies.none() | discounts,
    start_time=strategies.none() | times,
    end_time=strategies.none() | times,
    audience_ids=tuples_of_ids,
    channels=tuples_of_ids,
    placements=tuples_of_ids,
    priority=strategies.integers(-1_000, 1_000),
    status=strategies.sampled_from(OfferStatus),
    labels=tuples_of_ids,
    item_filter=strategies.none() | item_filters,
    representations=strategies.lists(representations, max_size=2).map(tuple),
    weekly_hours=strategies.lists(weekly_hours, max_size=2).map(tuple),
    value=strategies.none() | money,
    cooldown=strategies.none() | strategies.builds(Cooldown, identifiers, strategies.integers(1, 10**6)),
    consent_category=strategies.just("") | identifiers,
    fallback=strategies.booleans(),
    budget=strategies.none() | strategies.builds(Budget, strategies.integers(1, 10**9), strategies.integers(1, 10**6)),
    caps=strategies.lists(caps, max_size=2).map(tuple),
    eligibility=strategies.sampled_from(["", "item.price < 5000"]),
)
percents = strategies.integers(-100, 10_000)
policies = strategies.just(Policy()) | strategies.builds(
    Policy,
    score_mode=strategies.sampled_from(ScoreMode),
    ignored_factors=strategies.lists(strategies.sampled_from(Factor), unique=True).map(tuple),
    default_value=strategies.integers(1, 10**6),
    levers=strategies.lists(strategies.builds(Lever, identifiers, percents), max_size=2).map(tuple),
    context_weights=strategies.lists(
        strategies.builds(ContextWeight, percents, texts, texts, texts, texts), max_size=2
    ).map(tuple),
    maximal_per_category=strategies.integers(0, 100),
    diversity_percent=strategies.integers(0, 100),
    promotion=strategies.none() | strategies.builds(Promotion, identifiers, strategies.integers(1, 100)),
    pins=strategies.lists(strategies.builds(Pin, strategies.integers(1, 100), identifiers), max_size=2).map(tuple),
    rotation=strategies.none()
    | strategies.builds(Rotation, strategies.integers(1, 100), strategies.integers(1, 10**6)),
    fallback_offer_ids=tuples_of_ids,
    exploration=strategies.none() | strategies.builds(Exploration, strategies.integers(1, 100)),
)
placements = strategies.builds(
    Placement,
    identifiers,
    strategies.integers(1, 100),
    strategies.booleans(),
    strategies.sampled_from(Rebuys),
    policies,
    strategies.builds(QuietHours, strategies.integers(0, 1439), strategies.integers(0, 1439), tuples_of_ids)
    | strategies.builds(QuietHours),
)
audiences = strategies.builds(Audience, identifiers, strategies.frozensets(identifiers, max_size=3))
arms = strategies.builds(
    Arm,
    identifiers,
    strategies.integers(1, 1_000),
    strategies.none() | policies,
    strategies.booleans(),
    strategies.just("") | identifiers,
)
experiments = strategies.builds(
    Experiment,
    identifiers,
    tuples_of_ids,
    strategies.lists(arms, max_size=3).map(tuple),
    salt=texts,
    mode=strategies.sampled_from(ExperimentMode),
    status=strategies.sampled_from(ExperimentStatus),
    start_time=strategies.none() | times,
    end_time=strategies.none() | times,
)
triggers = strategies.builds(
    Trigger,
    identifiers,
    strategies.sampled_from(TriggerKind),
    strategies.sampled_from(TriggerStatus),
    placement=identifiers,
    channel=identifiers,
    consent_category=identifiers,
    priority=strategies.integers(-1_000, 1_000),
    delay=strategies.integers(0, 10**6),
    cooldown=strategies.integers(0, 10**6),
    spacing=strategies.integers(0, 10**6),
    lookback=strategies.integers(0, 10**6),
    lead=strategies.integers(0, 10**6),
    lifetime=strategies.integers(0, 10**6),
    default_hour=strategies.integers(0, 23),
)

changes = strategies.builds(
    CatalogChange,
    items=strategies.lists(items, max_size=3).map(tuple),
    offers=strategies.lists(offers, max_size=3).map(tuple),
    placements=strategies.lists(placements, max_size=3).map(tuple),
    audiences=strategies.lists(audiences, max_size=3).map(tuple),
    experiments=strategies.lists(experiments, max_size=3).map(tuple),
    triggers=strategies.lists(triggers, max_size=3).map(tuple),
    deleted_item_ids=tuples_of_ids,
    deleted_offer_ids=tuples_of_ids,
    deleted_placements=tuples_of_ids,
    deleted_audience_ids=tuples_of_ids,
    deleted_experiment_ids=tuples_of_ids,
    deleted_triggers=tuples_of_ids,
)


def event(number: int, customer_id: str = "ada", event_type: str = "purchase") -> Event:
    """Give an event whose id, item and time follow from its number."""
    return Event(f"event-{number}", customer_id, event_type, NOON.replace(microsecond=number), item_id=f"item-{number}")


def random_table(customer_ids: list[str], width: int = 5, evidence_width: int = 3, seed: int = 1) -> CandidateTable:
    """Give lists of random lengths and content; only what is counted is finite."""
    randomness = np.random.default_rng(seed)
    count = len(customer_ids)
    candidates = np.zeros((count, width), CANDIDATE)
    candidates["row"] = randomness.integers(0, 2**32, (count, width))
    candidates["score"] = randomness.uniform(-1_000, 1_000, (count, width))
    candidates["source"] = randomness.integers(0, 256, (count, width))
    candidates["evidence"] = randomness.integers(0, 256, (count, width))
    counts = randomness.integers(0, width + 1, count).astype(np.uint16)
    candidates["score"][np.arange(width) >= counts[:, np.newaxis]] = np.nan
    return CandidateTable(
        customer_ids,
        candidates,
        counts,
        randomness.integers(0, 2**32, (count, evidence_width)).astype(np.uint32),
        randomness.integers(0, evidence_width + 1, count).astype(np.uint8),
    )
