"""How the slates of a placement are put together, beyond what may be shown."""

from dataclasses import dataclass
from enum import Enum

DEFAULT_VALUE = 100
"""Minor units that an offer without a value is taken to be worth."""

DEFAULT_ROTATION_SECONDS = 7 * 24 * 3600


class ScoreMode(Enum):
    """Tells in which order offers stand: by score, by priority, or by the product of the factors."""

    SCORE = "score"
    PRIORITY = "priority"
    ARBITRATED = "arbitrated"


class Factor(Enum):
    """Names what arbitration multiplies."""

    PROPENSITY = "propensity"
    CONTEXT = "context"
    VALUE = "value"
    LEVER = "lever"


@dataclass(frozen=True, slots=True)
class Lever:
    """Raises or lowers what carries a label, by ``percent``."""

    label: str
    percent: int


@dataclass(frozen=True, slots=True)
class ContextWeight:
    """Raises or lowers by ``percent`` what carries ``label`` when the request is of a kind; empty conditions hold."""

    percent: int
    channel: str = ""
    segment: str = ""
    context_category: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class Promotion:
    """Gives ``percent`` of the places, rounded down, to what carries ``label``."""

    label: str
    percent: int


@dataclass(frozen=True, slots=True)
class Pin:
    """Fixes an offer to a place, counted from 1."""

    rank: int
    offer_id: str


@dataclass(frozen=True, slots=True)
class Rotation:
    """Lets sink by ``percent`` for each impression of the last ``seconds`` that nothing came of."""

    percent: int
    seconds: int = DEFAULT_ROTATION_SECONDS


@dataclass(frozen=True, slots=True)
class Exploration:
    """Leaves each place that is not pinned to chance with a probability of ``percent``."""

    percent: int


@dataclass(frozen=True, slots=True)
class Policy:
    """Holds the rules of one placement; the default one takes what may be shown in the order of the score.

    ``maximal_per_category`` 0 means any number; ``diversity_percent`` is the weight of likeness in
    maximal marginal relevance.
    """

    score_mode: ScoreMode = ScoreMode.SCORE
    ignored_factors: tuple[Factor, ...] = ()
    default_value: int = DEFAULT_VALUE
    levers: tuple[Lever, ...] = ()
    context_weights: tuple[ContextWeight, ...] = ()
    maximal_per_category: int = 0
    diversity_percent: int = 0
    promotion: Promotion | None = None
    pins: tuple[Pin, ...] = ()
    rotation: Rotation | None = None
    fallback_offer_ids: tuple[str, ...] = ()
    exploration: Exploration | None = None

    @property
    def is_plain(self) -> bool:
        """Tell whether slates need nothing but the order of the score, so that one lazy pass will do."""
        return (
            self.score_mode is ScoreMode.SCORE
            and not self.maximal_per_category
            and not self.diversity_percent
            and self.promotion is None
            and not self.pins
            and self.rotation is None
            and self.exploration is None
        )


PLAIN_POLICY = Policy()
"""The policy of a placement that says nothing of it."""
