"""Placements' policies ↔ domain, each field checked on its way in."""

from google.protobuf.duration_pb2 import Duration

from dangol.v1 import catalog_pb2
from models.errors import InvalidInputError
from models.offers import MAXIMAL_PLACEMENT_SIZE
from models.policy import (
    DEFAULT_ROTATION_SECONDS,
    DEFAULT_VALUE,
    ContextWeight,
    Exploration,
    Factor,
    Lever,
    Pin,
    Policy,
    Promotion,
    Rotation,
    ScoreMode,
)
from service.handlers.terms_messages import seconds_from
from service.handlers.validation import (
    check,
    check_distinct,
    check_ids,
    count_problem,
    id_problem,
    kebab_problem,
    optional_id_problem,
    optional_kebab_problem,
    range_problem,
    text_problem,
)

_MAXIMAL_LEVERS = 64
_MAXIMAL_PINS = 16
_MAXIMAL_FALLBACKS = 32
_LOWEST_PERCENT, _HIGHEST_PERCENT = -100, 10_000
_MAXIMAL_VALUE = 10**12

_MODES = {
    catalog_pb2.SCORE_MODE_UNSPECIFIED: ScoreMode.SCORE,
    catalog_pb2.SCORE_MODE_SCORE: ScoreMode.SCORE,
    catalog_pb2.SCORE_MODE_PRIORITY: ScoreMode.PRIORITY,
    catalog_pb2.SCORE_MODE_ARBITRATED: ScoreMode.ARBITRATED,
}
_FACTORS = {
    catalog_pb2.FACTOR_PROPENSITY: Factor.PROPENSITY,
    catalog_pb2.FACTOR_CONTEXT: Factor.CONTEXT,
    catalog_pb2.FACTOR_VALUE: Factor.VALUE,
    catalog_pb2.FACTOR_LEVER: Factor.LEVER,
}
# Of two names for one mode the later wins, so that answers are specific.
_MODE_MESSAGES = {mode: number for number, mode in _MODES.items()}
_FACTOR_MESSAGES = {factor: number for number, factor in _FACTORS.items()}


def policy_from(message: catalog_pb2.Policy, field: str) -> Policy:
    """Read a policy. InvalidInputError names the field."""
    if message.score_mode not in _MODES:
        raise InvalidInputError(f"{field}.score_mode", "is not a mode that this server knows")
    for index, factor in enumerate(message.ignored_factors):
        if factor not in _FACTORS:
            raise InvalidInputError(f"{field}.ignored_factors[{index}]", "is not a factor that this server knows")
    check_distinct(f"{field}.ignored_factors", [str(factor) for factor in message.ignored_factors])
    check(f"{field}.default_value", range_problem(message.default_value, 0, _MAXIMAL_VALUE))
    check(f"{field}.maximal_per_category", range_problem(message.maximal_per_category, 0, MAXIMAL_PLACEMENT_SIZE))
    check(f"{field}.diversity_percent", range_problem(message.diversity_percent, 0, 100))
    check_ids(f"{field}.fallback_offer_ids", message.fallback_offer_ids, 0, _MAXIMAL_FALLBACKS)
    check_distinct(f"{field}.fallback_offer_ids", message.fallback_offer_ids)
    return Policy(
        score_mode=_MODES[message.score_mode],
        ignored_factors=tuple(_FACTORS[factor] for factor in message.ignored_factors),
        default_value=message.default_value or DEFAULT_VALUE,
        levers=_levers_from(message, f"{field}.levers"),
        context_weights=_context_weights_from(message, f"{field}.context_weights"),
        maximal_per_category=message.maximal_per_category,
        diversity_percent=message.diversity_percent,
        promotion=_promotion_from(message, f"{field}.promotion") if message.HasField("promotion") else None,
        pins=_pins_from(message, f"{field}.pins"),
        rotation=_rotation_from(message, f"{field}.rotation") if message.HasField("rotation") else None,
        fallback_offer_ids=tuple(message.fallback_offer_ids),
        exploration=_exploration_from(message, f"{field}.exploration") if message.HasField("exploration") else None,
    )


def _levers_from(message: catalog_pb2.Policy, field: str) -> tuple[Lever, ...]:
    check(field, count_problem(len(message.levers), 0, _MAXIMAL_LEVERS))
    for index, lever in enumerate(message.levers):
        check(f"{field}[{index}].label", kebab_problem(lever.label))
        check(f"{field}[{index}].percent", range_problem(lever.percent, _LOWEST_PERCENT, _HIGHEST_PERCENT))
    return tuple(Lever(lever.label, lever.percent) for lever in message.levers)


def _context_weights_from(message: catalog_pb2.Policy, field: str) -> tuple[ContextWeight, ...]:
    check(field, count_problem(len(message.context_weights), 0, _MAXIMAL_LEVERS))
    for index, weight in enumerate(message.context_weights):
        check(f"{field}[{index}].channel", optional_kebab_problem(weight.channel, 32))
        check(f"{field}[{index}].segment", optional_id_problem(weight.segment))
        check(f"{field}[{index}].context_category", text_problem(weight.context_category, 256))
        check(f"{field}[{index}].label", optional_kebab_problem(weight.label))
        check(f"{field}[{index}].percent", range_problem(weight.percent, _LOWEST_PERCENT, _HIGHEST_PERCENT))
    return tuple(
        ContextWeight(weight.percent, weight.channel, weight.segment, weight.context_category, weight.label)
        for weight in message.context_weights
    )


def _promotion_from(message: catalog_pb2.Policy, field: str) -> Promotion:
    check(f"{field}.label", kebab_problem(message.promotion.label))
    check(f"{field}.percent", range_problem(message.promotion.percent, 1, 100))
    return Promotion(message.promotion.label, message.promotion.percent)


def _pins_from(message: catalog_pb2.Policy, field: str) -> tuple[Pin, ...]:
    check(field, count_problem(len(message.pins), 0, _MAXIMAL_PINS))
    for index, pin in enumerate(message.pins):
        check(f"{field}[{index}].rank", range_problem(pin.rank, 1, MAXIMAL_PLACEMENT_SIZE))
        check(f"{field}[{index}].offer_id", id_problem(pin.offer_id))
    check_distinct(field, [pin.offer_id for pin in message.pins], ".offer_id")
    check_distinct(field, [str(pin.rank) for pin in message.pins], ".rank")
    return tuple(Pin(pin.rank, pin.offer_id) for pin in message.pins)


def _rotation_from(message: catalog_pb2.Policy, field: str) -> Rotation:
    check(f"{field}.percent", range_problem(message.rotation.percent, 1, 100))
    if not message.rotation.HasField("duration"):
        return Rotation(message.rotation.percent, DEFAULT_ROTATION_SECONDS)
    return Rotation(message.rotation.percent, seconds_from(message.rotation.duration, f"{field}.duration"))


def _exploration_from(message: catalog_pb2.Policy, field: str) -> Exploration:
    check(f"{field}.percent", range_problem(message.exploration.percent, 1, 100))
    return Exploration(message.exploration.percent)


def policy_message(policy: Policy) -> catalog_pb2.Policy:
    """Write a policy, its defaults spelled out."""
    message = catalog_pb2.Policy(
        score_mode=_MODE_MESSAGES[policy.score_mode],
        ignored_factors=[_FACTOR_MESSAGES[factor] for factor in policy.ignored_factors],
        default_value=policy.default_value,
        levers=[catalog_pb2.Lever(label=lever.label, percent=lever.percent) for lever in policy.levers],
        maximal_per_category=policy.maximal_per_category,
        diversity_percent=policy.diversity_percent,
        pins=[catalog_pb2.Pin(rank=pin.rank, offer_id=pin.offer_id) for pin in policy.pins],
        fallback_offer_ids=policy.fallback_offer_ids,
    )
    for weight in policy.context_weights:
        message.context_weights.add(
            percent=weight.percent,
            channel=weight.channel,
            segment=weight.segment,
            context_category=weight.context_category,
            label=weight.label,
        )
    if policy.promotion is not None:
        message.promotion.label, message.promotion.percent = policy.promotion.label, policy.promotion.percent
    if policy.rotation is not None:
        message.rotation.percent = policy.rotation.percent
        message.rotation.duration.CopyFrom(Duration(seconds=policy.rotation.seconds))
    if policy.exploration is not None:
        message.exploration.percent = policy.exploration.percent
    return message
