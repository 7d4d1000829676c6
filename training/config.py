"""What a training run is told: how to learn, and which columns of the sources mean what. Read from TOML."""

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from models.errors import InvalidInputError
from models.events import CART, DISMISS, PURCHASE, RATING, RETURN, SEARCH, VIEW


def _known_time_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("is not the name of a time zone, such as Europe/Berlin")
    return name


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class EventWeight(_Model):
    """Says how much one event of a type tells about a customer's taste."""

    weight: float = Field(
        ge=-100, le=100, description="Confidence per event; negative speaks against the item; 0: left out."
    )
    half_life_days: float = Field(default=90.0, gt=0, le=36_500, description="Days after which it counts half.")


DEFAULT_EVENT_WEIGHTS = {
    PURCHASE: EventWeight(weight=1.0, half_life_days=90),
    RETURN: EventWeight(weight=-1.0, half_life_days=90),
    CART: EventWeight(weight=0.4, half_life_days=30),
    VIEW: EventWeight(weight=0.1, half_life_days=20),
    "click": EventWeight(weight=0.1, half_life_days=20),
    "redeem": EventWeight(weight=0.5, half_life_days=90),
    DISMISS: EventWeight(weight=-2.0, half_life_days=180),
    "impression": EventWeight(weight=0.0),
    SEARCH: EventWeight(weight=0.0),
    RATING: EventWeight(weight=1.0, half_life_days=180),
}
"""Weights of the types known without configuration; a type of the configuration replaces or adds one."""


class FactorSettings(_Model):
    """Tunes the collaborative source: implicit ALS on confidence 1 + ``confidence_scale`` times decayed weight."""

    factors: int = Field(default=128, ge=1, le=2048, description="Length of the factor vectors.")
    regularization: float = Field(default=2.0, ge=0)
    confidence_scale: float = Field(default=10.0, gt=0)
    first_sweeps: int = Field(default=4, ge=1, le=200, description="ALS sweeps of the first fit, from random factors.")
    later_sweeps: int = Field(
        default=2, ge=1, le=200, description="ALS sweeps of each later fit, from the earlier one."
    )


class SourceSizes(_Model):
    """Bounds how many candidates each source names per customer."""

    rebuy: int = Field(default=200, ge=1, le=1000)
    collaborative: int = Field(default=100, ge=1, le=1000)
    neighbors: int = Field(default=100, ge=1, le=1000)
    popular: int = Field(default=50, ge=1, le=1000)
    trending: int = Field(default=50, ge=1, le=1000)


LearnedSource = Literal[
    "ease",
    "ridge",
    "content",
    "kindred",
    "trend",
    "complementary",
    "cosine",
    "bm25",
    "rp3-beta",
    "filter",
    "spectral",
    "als",
    "bpr",
    "lmf",
]
"""What may find and describe items for the learned ranker."""


class LearnedSettings(_Model):
    """Tunes the learned ranker: gradient-boosted trees over everything known of a customer and an item at a moment."""

    windows: int = Field(default=5, ge=1, le=24, description="Label windows before the cut that it learns from.")
    season_windows: int = Field(
        default=3, ge=0, le=12, description="More of them a year earlier, where the data reach back so far."
    )
    columns: int = Field(
        default=6_000,
        ge=10,
        le=50_000,
        description="Items that may be found for customers: those that sell most lately.",
    )
    sources: tuple[LearnedSource, ...] = Field(
        default=("ease", "ridge", "content", "kindred", "trend"), description="Models that find and describe items."
    )
    own: int = Field(default=150, ge=0, le=1000, description="Candidates that the customer met before, at most.")
    found: int = Field(default=200, ge=1, le=1000, description="Candidates found by the sources, at most.")
    binary_rounds: int = Field(default=110, ge=1, le=2000, description="Trees for the odds of a purchase.")
    pairwise_rounds: int = Field(default=70, ge=1, le=2000, description="Trees for the order within a list.")
    revenue_mix: float = Field(
        default=0.0, ge=0, le=1, description="How far lists are for revenue: 0 not at all, 1 by what is spent alone."
    )


class Resources(_Model):
    """Bounds what the run takes of the machine; nothing here changes the model."""

    memory_limit_mb: int = Field(default=224, ge=128, description="What DuckDB may hold before it spills to disk.")
    temporary_directory: Path | None = Field(default=None, description="Where it spills; default: the system's.")
    threads: int = Field(default=2, ge=1, le=256)


_TESTED_METRICS = ("mrr", "ndcg@20", "recall@20", "revenue-share@20")


def _known_metric(name: str) -> str:
    scope, colon, metric = name.rpartition(":")
    if metric not in _TESTED_METRICS or (colon and not scope):
        raise ValueError(f"{name!r} is none of {', '.join(_TESTED_METRICS)}, alone or as in 'new-to-customer:ndcg@20'")
    return name


MetricName = Annotated[str, AfterValidator(_known_metric)]
"""A measure over all that was bought, or over one scope: ``scope:measure``."""


class GateSettings(_Model):
    """Says what a model must do to be promoted; nothing here changes the model. The former one is that in service."""

    metrics: tuple[MetricName, ...] = Field(
        default=("ndcg@20",), min_length=1, description="In these it beats both trivial lists and the former."
    )
    held: tuple[MetricName, ...] = Field(
        default=("new-to-customer:ndcg@20", "revenue-share@20"), description="In these it must not clearly lose."
    )
    tolerance: float = Field(default=0.02, ge=0, le=1, description="What is no loss yet, as a part of the former's.")
    level: float = Field(default=0.7, ge=0, le=1, description="Least part of the former's metrics, each in its window.")
    data: float = Field(default=0.9, ge=0, le=1, description="Least part of the former's customers, items and days.")
    full_lists: float = Field(default=0.95, ge=0, le=1, description="Least part of the former's share of full lists.")
    coverage: float = Field(default=0.5, ge=0, le=1, description="Least part of the former's coverage and variety.")
    overlap: float = Field(default=0.2, ge=0, le=1, description="Least mean overlap of the top 20 with the former's.")
    size: float = Field(default=2.0, ge=1, description="Most bytes of lists per customer, as a part of the former's.")


class TrainingConfiguration(_Model):
    """Holds everything that shapes a model. Equal configuration, seed and input give equal bytes."""

    events: dict[str, EventWeight] = Field(
        default_factory=dict, description="Weights per event type, over the defaults."
    )
    target: str = Field(default=PURCHASE, description="The event type that lists shall foresee.")
    quantity_damping: Literal["logarithm", "none", "ignore"] = Field(
        default="logarithm", description="log2(1 + quantity), the quantity itself, or 1."
    )
    neutral_rating: float = Field(
        default=3.0, description="Stars that say nothing; a rating counts half its distance from them, below against."
    )
    until: AwareDatetime | None = Field(
        default=None, description="Learn from events before this time only; later ones serve the evaluation."
    )
    holdout_days: float = Field(default=30.0, gt=0, le=366, description="Length of a label window.")
    popularity_days: float = Field(default=30.0, gt=0, le=3660, description="Length of the window of 'popular now'.")
    list_size: int = Field(default=100, ge=1, le=255, description="Candidates per customer.")
    new_share: float = Field(default=0.3, ge=0, le=1, description="Part of a list kept for items not bought before.")
    neighbors_per_item: int = Field(default=30, ge=1, le=200)
    shared_list_size: int = Field(default=200, ge=1, le=1000, description="Candidates in the lists of segments.")
    minimal_segment_customers: int = Field(default=20, ge=1)
    blend_customers: int = Field(default=3_000, ge=1, description="Customers sampled to fit the blend, per window.")
    evaluation_customers: int = Field(default=10_000, ge=1, description="Hold-out customers sampled to evaluate.")
    evaluation_windows: int = Field(
        default=1, ge=1, le=12, description="Label windows that judge, one before the other."
    )
    refused_sample: int = Field(default=20, ge=0, description="Refused rows kept per reason.")
    learning_curves: bool = Field(
        default=False, description="Keep the loss of the factors after every sweep; the model stays the same."
    )
    seed: int = Field(default=1, ge=0, lt=2**32)
    ranker: Literal["auto", "learned", "blend"] = Field(
        default="auto", description="What ranks: trees, the plain blend, or trees where the data allow them."
    )
    learned: LearnedSettings = LearnedSettings()
    factors: FactorSettings = FactorSettings()
    sources: SourceSizes = SourceSizes()
    resources: Resources = Resources()
    gate: GateSettings = GateSettings()

    @field_validator("events", mode="before")
    @classmethod
    def _known_weights(cls, events: object) -> object:
        """Let a known type keep its weight where only its half-life is given."""
        if not isinstance(events, Mapping):
            return events
        return {
            name: {"weight": DEFAULT_EVENT_WEIGHTS[name].weight} | dict(given)
            if isinstance(given, Mapping) and name in DEFAULT_EVENT_WEIGHTS
            else given
            for name, given in events.items()
        }

    @model_validator(mode="after")
    def _target_speaks_for_items(self) -> "TrainingConfiguration":
        weight = self.event_weights().get(self.target)
        if weight is None or weight.weight <= 0:
            raise ValueError(f"target: the event type {self.target!r} needs a weight above 0")
        return self

    def room_for_new(self) -> int:
        """Give how many places of a list are kept for items not bought before."""
        return int(self.list_size * self.new_share)

    def event_weights(self) -> dict[str, EventWeight]:
        """Give the weights of all known types, by name in a fixed order."""
        return dict(sorted((DEFAULT_EVENT_WEIGHTS | self.events).items()))

    def for_manifest(self) -> dict[str, Any]:
        """Give what shaped the model as JSON: all but the resources, the gate and what is only told of it."""
        return self.model_dump(mode="json", exclude={"resources", "gate", "learning_curves"}) | {
            "events": {name: weight.model_dump() for name, weight in self.event_weights().items()}
        }


class ItemTable(_Model):
    """Names a table of items: what it says of them tells which are alike, and finds those that are rarely bought."""

    path: Path = Field(description="Parquet, CSV or JSON Lines, one row per item.")
    item: str = Field(default="item_id", min_length=1, description="Column of the item's id.")
    attributes: tuple[str, ...] = Field(
        default=(), description="Columns such as category, brand, name; default: all columns of text."
    )


class CustomerTable(_Model):
    """Names a table of customers: what it says of them tells what their like buy, and puts them into segments."""

    path: Path = Field(description="Parquet, CSV or JSON Lines, one row per customer.")
    customer: str = Field(default="customer_id", min_length=1, description="Column of the customer's id.")
    attributes: tuple[str, ...] = Field(
        default=(), description="Columns such as age, region, tier; default: all but those of segments."
    )
    segments: tuple[str, ...] = Field(default=(), description="Columns whose value is a segment, as of events.")


class ColumnMapping(_Model):
    """Names the source's columns. Those left unset are looked for under this product's own names."""

    customer: str = Field(default="customer_id", min_length=1)
    item: str = Field(default="item_id", min_length=1)
    time: str = Field(default="event_time", min_length=1)
    event_type: str = Field(default="event_type", min_length=1, description="Column of the event type.")
    constant_event_type: str | None = Field(
        default=None, min_length=1, description="The type of every row, instead of a column."
    )
    event_id: str = Field(default="event_id", min_length=1)
    quantity: str = Field(default="quantity", min_length=1)
    value: str = Field(default="value", min_length=1, description="Column of the line's whole value.")
    rating: str = Field(default="rating", min_length=1, description="Column of a rating's stars.")
    price: str | None = Field(
        default=None, min_length=1, description="Column of the price of one, instead of the value."
    )
    segments: tuple[str, ...] = Field(
        default=(), description="Columns whose value is a segment; one column: its bare value."
    )
    event_types: dict[str, str] = Field(default_factory=dict, description="The source's event types to this product's.")
    time_zone: Annotated[str, AfterValidator(_known_time_zone)] = Field(
        default="UTC", description="Of times that name none."
    )
    time_unit: Literal["seconds", "milliseconds", "microseconds"] = Field(
        default="seconds", description="Of numeric times."
    )
    items: ItemTable | None = Field(default=None, description="A table of items, beside the events.")
    customers: CustomerTable | None = Field(default=None, description="A table of customers, beside the events.")

    @model_validator(mode="after")
    def _segments_of_one_name(self) -> "ColumnMapping":
        twice = set(self.segments) & set(self.customers.segments if self.customers else ())
        if twice:
            raise ValueError(f"customers.segments: {min(twice)!r} is a column of segments of events, too")
        return self

    def prefix_of(self, column: str) -> str:
        """Give what the segments of a column begin with: nothing where no other column has segments."""
        columns = (*self.segments, *(self.customers.segments if self.customers else ()))
        return "" if len(columns) == 1 else f"{column}="

    def names_explicitly(self, field: str) -> bool:
        """Tell whether the mapping was told this column rather than left to look for it."""
        return field in self.model_fields_set


_Settings = TypeVar("_Settings", TrainingConfiguration, ColumnMapping)


def load_configuration(path: Path) -> TrainingConfiguration:
    """Read a training configuration. InvalidInputError names the file and the field."""
    return parse(TrainingConfiguration, _read_toml(path), str(path))


def load_mapping(path: Path) -> ColumnMapping:
    """Read a column mapping. InvalidInputError names the file and the field."""
    return parse(ColumnMapping, _read_toml(path), str(path))


def parse(kind: type[_Settings], content: dict[str, Any], name: str) -> _Settings:
    """Check decoded TOML. InvalidInputError names the field as ``name: field.subfield``."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidInputError(f"{name}: {field}" if field else name, first["msg"]) from error


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInputError(str(path), f"cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInputError(str(path), f"is not TOML ({error})") from error
    return {key: _aware(value) for key, value in content.items()}


def _aware(value: object) -> object:
    """Read a TOML time without an offset as UTC."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
