"""What lists are made fresh with after an event: the item factors, and what the training was told and found."""

import io
import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.artifact import Artifact
from models.errors import ArtifactError
from models.events import RATING

LIKENESS_SHIFT = 1e-3
"""Likeness, 0 … 1, is told as the logarithm of 1 + likeness / this."""


@dataclass(frozen=True, slots=True)
class EventScale:
    """Says how much one event of a type tells: its weight, below 0 against the item, and the days to half of it."""

    weight: float
    half_life_days: float


@dataclass(frozen=True, slots=True)
class FoldWeights:
    """Says what fresh events add to the log-odds of an item, whatever ranked the list before.

    ``collaborative`` per unit of the factors' score for the fresh history; ``neighbors`` per unit of the logarithm of
    the likeness to its items; ``bought`` and ``viewed`` where the item itself was, lately, and ``unlisted`` besides
    where the published list lacks it.
    """

    collaborative: float
    neighbors: float
    bought: float
    viewed: float
    unlisted: float


SIGNALS = tuple(field.name for field in fields(FoldWeights))
"""Names of what fresh events say of an item, in the order of its columns."""


@dataclass(frozen=True, slots=True)
class FoldModel:
    """Holds ``item_factors`` (n, f) float32, the settings of the training and the weights of what is fresh.

    ``list_size`` bounds a list, ``room_for_new`` is kept in it for items not bought before.
    """

    item_factors: NDArray[np.float32]
    events: Mapping[str, EventScale]
    regularization: float
    confidence_scale: float
    weights: FoldWeights
    list_size: int
    room_for_new: int


def fold_model(item_factors: NDArray[np.float32], configuration: Mapping[str, Any], weights: FoldWeights) -> FoldModel:
    """Make a fold model of factors and weights; ``configuration`` is that of a manifest. KeyError, TypeError.

    What a rating says depends on its stars, which a profile does not remember: it counts from the next training on.
    """
    scales = {name: event for name, event in configuration["events"].items() if name != RATING}
    settings = {
        "events": {name: [event["weight"], event["half_life_days"]] for name, event in scales.items()},
        "regularization": configuration["factors"]["regularization"],
        "confidence_scale": configuration["factors"]["confidence_scale"],
        **asdict(weights),
        "list_size": configuration["list_size"],
        "room_for_new": int(configuration["list_size"] * configuration["new_share"]),
    }
    return _assemble(item_factors, settings)


def fold_model_of(artifact: Artifact) -> FoldModel | None:
    """Take the fold model out of an artifact; None when its manifest does not tell how it was trained."""
    try:
        weights = _weights_in(artifact.manifest.metrics)
        return fold_model(artifact.factors(), artifact.manifest.configuration, weights)
    except (KeyError, TypeError, AttributeError):
        return None


def encode_fold_model(model: FoldModel) -> bytes:
    """Write a fold model as the bytes of an npz file; the same model gives the same bytes."""
    settings = {
        "events": {name: [scale.weight, scale.half_life_days] for name, scale in model.events.items()},
        "regularization": model.regularization,
        "confidence_scale": model.confidence_scale,
        **asdict(model.weights),
        "list_size": model.list_size,
        "room_for_new": model.room_for_new,
    }
    text = np.frombuffer(json.dumps(settings, sort_keys=True).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, item_factors=model.item_factors, settings=text)
    return buffer.getvalue()


def decode_fold_model(content: bytes, name: str) -> FoldModel:
    """Read what :func:`encode_fold_model` wrote. ArtifactError naming ``name`` when it is damaged."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            factors = arrays["item_factors"].astype(np.float32, copy=False)
            model = _assemble(factors, json.loads(arrays["settings"].tobytes()))
    except (ValueError, KeyError, TypeError, AttributeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ArtifactError(name, f"cannot be read as a fold model ({error})") from error
    if factors.ndim != 2 or not np.isfinite(factors).all():
        raise ArtifactError(name, "its factors are not a finite matrix")
    return model


def _weights_in(metrics: Mapping[str, Any]) -> FoldWeights:
    """Give what a training learned of fresh events, or, as earlier releases did, what its blend says of new items."""
    if "fold" in metrics:
        return _weights_of(metrics["fold"]["weights"])
    weights = metrics["ranker"]["weights"]["new"]
    # What was learned from few labels may be of the wrong sign; likeness never speaks against an item.
    return _weights_of({name: max(0.0, weights[name]) for name in ("collaborative", "neighbors")})


def _weights_of(settings: Mapping[str, Any]) -> FoldWeights:
    """Read weights; earlier releases told two, and took an item for wholly alike to itself."""
    itself = float(settings["neighbors"]) * math.log1p(1 / LIKENESS_SHIFT)
    told = {"bought": itself, "viewed": itself, "unlisted": 0.0, **settings}
    return FoldWeights(**{name: float(told[name]) for name in SIGNALS})


def _assemble(item_factors: NDArray[np.float32], settings: Mapping[str, Any]) -> FoldModel:
    return FoldModel(
        item_factors=item_factors,
        events={name: EventScale(float(weight), float(days)) for name, (weight, days) in settings["events"].items()},
        regularization=float(settings["regularization"]),
        confidence_scale=float(settings["confidence_scale"]),
        weights=_weights_of(settings),
        list_size=int(settings["list_size"]),
        room_for_new=int(settings["room_for_new"]),
    )
