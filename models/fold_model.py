"""What lists are made fresh with after an event: the item factors, and what the training was told and found."""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.artifact import Artifact
from models.errors import ArtifactError


@dataclass(frozen=True, slots=True)
class EventScale:
    """Says how much one event of a type tells: its weight, below 0 against the item, and the days to half of it."""

    weight: float
    half_life_days: float


@dataclass(frozen=True, slots=True)
class FoldModel:
    """Holds ``item_factors`` (n, f) float32 and the settings of the training.

    ``collaborative`` and ``neighbors`` are the weights that the blend learned for items new to a customer: log-odds per
    unit of the factors' score, and per unit of the logarithm of the neighbours' score. ``list_size`` bounds a list,
    ``room_for_new`` is kept in it for items not bought before.
    """

    item_factors: NDArray[np.float32]
    events: Mapping[str, EventScale]
    regularization: float
    confidence_scale: float
    collaborative: float
    neighbors: float
    list_size: int
    room_for_new: int


def fold_model_of(artifact: Artifact) -> FoldModel | None:
    """Take the fold model out of an artifact; None when its manifest tells no weights of a blend, as that of trees."""
    configuration, metrics = artifact.manifest.configuration, artifact.manifest.metrics
    try:
        weights = metrics["ranker"]["weights"]["new"]
        settings = {
            "events": {
                name: [event["weight"], event["half_life_days"]] for name, event in configuration["events"].items()
            },
            "regularization": configuration["factors"]["regularization"],
            "confidence_scale": configuration["factors"]["confidence_scale"],
            # What was learned from few labels may be of the wrong sign; likeness never speaks against an item.
            "collaborative": max(0.0, weights["collaborative"]),
            "neighbors": max(0.0, weights["neighbors"]),
            "list_size": configuration["list_size"],
            "room_for_new": int(configuration["list_size"] * configuration["new_share"]),
        }
    except (KeyError, TypeError, AttributeError):
        return None
    return _assemble(artifact.factors(), settings)


def encode_fold_model(model: FoldModel) -> bytes:
    """Write a fold model as the bytes of an npz file; the same model gives the same bytes."""
    settings = {
        "events": {name: [scale.weight, scale.half_life_days] for name, scale in model.events.items()},
        "regularization": model.regularization,
        "confidence_scale": model.confidence_scale,
        "collaborative": model.collaborative,
        "neighbors": model.neighbors,
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


def _assemble(item_factors: NDArray[np.float32], settings: Mapping[str, Any]) -> FoldModel:
    return FoldModel(
        item_factors=item_factors,
        events={name: EventScale(float(weight), float(days)) for name, (weight, days) in settings["events"].items()},
        regularization=float(settings["regularization"]),
        confidence_scale=float(settings["confidence_scale"]),
        collaborative=float(settings["collaborative"]),
        neighbors=float(settings["neighbors"]),
        list_size=int(settings["list_size"]),
        room_for_new=int(settings["room_for_new"]),
    )
