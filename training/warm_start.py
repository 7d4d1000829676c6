"""Where a fit may begin: the item factors of an earlier model that knows nothing of what the fit must not know."""

from dataclasses import dataclass
from datetime import UTC

import numpy as np
from numpy.typing import NDArray

from models.errors import ArtifactError
from models.registry import Registry
from training.als import Factors
from training.backtests import rows_in
from training.sources.source import NOTHING


@dataclass(frozen=True, slots=True)
class EarlierFactors:
    """Holds the item factors (m, f) of a model that had learned from what came until ``last`` (seconds, UTC)."""

    model_version: str
    last: int
    item_ids: list[str]
    items: NDArray[np.float32]

    def over(self, random: Factors, item_ids: list[str]) -> Factors:
        """Lay them over random factors where the item is known; customers, who are fitted first, stay random."""
        places = rows_in(item_ids, self.item_ids)
        known = np.flatnonzero(places != NOTHING)
        random.items[known] = self.items[places[known]]
        return random


def earlier_factors(registry: Registry, cut: int, factors: int) -> EarlierFactors | None:
    """Find the newest model with factors of that length that knows nothing from the second ``cut`` on.

    One that knows all that can be known before it would make the same events give another model, and is left out.
    None when the registry has none. A model whose files are damaged is passed over: a start is not worth a failure.
    """
    for version in registry.versions():
        try:
            manifest = registry.manifest(version)
            last = int(manifest.last_event_time.astimezone(UTC).timestamp())
            if last >= cut - 1 or manifest.configuration["factors"]["factors"] != factors:
                continue
            artifact = registry.open(version)
            return EarlierFactors(version, last, list(artifact.items().vocabulary), artifact.factors())
        except (ArtifactError, KeyError, TypeError):
            continue
    return None
