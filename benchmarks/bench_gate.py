"""Whether the gate lets any of many deliberately bad models through: spoiled lists, broken data, worse recipes.

A good model serves a made-up shop; each bad one of ``tests.training.bad_models`` then asks the gate as ``dangol train``
does, against the good model of earlier days, or, where the data are broken, of the same days.
``python -m benchmarks.bench_gate``.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.report import report
from cli.promotion import pass_gate, refit_from
from models.progress import SilentProgress
from models.registry import Registry
from tests.shop import Rows, events, write_rows
from tests.training.bad_models import ARTIFACTS, DATA, RECIPES, spoiled
from training.config import ColumnMapping, FactorSettings, GateSettings, TrainingConfiguration
from training.job import train

_RECIPE = TrainingConfiguration(factors=FactorSettings(factors=16))
_SHOP = events(160, 240, visits=16, tastes=8)
_EARLIER = [row for row in _SHOP if row["event_time"] < "2025-06-02"]


class _Shop:
    """Is a registry with the folder that its models' events are written into."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "events.csv"
        self.registry = Registry(folder / "models")

    def learned(self, rows: Rows, recipe: TrainingConfiguration = _RECIPE) -> str:
        write_rows(self._file, rows)
        return train([str(self._file)], ColumnMapping(), recipe, self.registry).manifest.model_version

    def lets_through(self, version: str) -> bool:
        """Ask the gate, and put back what was in service."""
        former = self.registry.current()
        refit = refit_from(self.registry, [str(self._file)], ColumnMapping(), _RECIPE, SilentProgress())
        promoted = pass_gate(self.registry, version, GateSettings(), by="bench", refit=refit).promoted
        if promoted and former is not None:
            self.registry.promote(former, "bench")
        return promoted


def main() -> None:
    """Try every kind, and a good model before and after the first of them."""
    with TemporaryDirectory() as folder:
        shop = _Shop(Path(folder))
        good = {kind: shop.lets_through(version) for kind, version in _good_models(shop)}
        bad = {kind: shop.lets_through(version) for kind, version in _bad_models(shop)}
    print(f"promoted of the bad: {[kind for kind, through in bad.items() if through]}", file=sys.stderr)
    report("gate.bad-models-promoted", sum(bad.values()), f"of {len(bad)} kinds", floor=0, goal=0)
    report("gate.good-models-refused", len(good) - sum(good.values()), f"of {len(good)}", floor=0, goal=0)


def _good_models(shop: _Shop) -> Iterator[tuple[str, str]]:
    """Give the first model of all, and one of the same recipe and newer days; the first is left in service."""
    first = shop.learned(_EARLIER)
    yield "first", first
    shop.registry.promote(first, "bench")
    yield "newer", shop.learned(_SHOP)


def _bad_models(shop: _Shop) -> Iterator[tuple[str, str]]:
    """Give every kind by name; for broken data a model of the same days is in service."""
    good = shop.learned(_SHOP)
    for kind, spoil in ARTIFACTS.items():
        yield kind, spoiled(shop.registry, shop.registry.open(good), spoil)
    for kind, recipe in RECIPES.items():
        yield kind, shop.learned(_SHOP, recipe)
    shop.registry.promote(good, "bench")
    for kind, change in DATA.items():
        yield kind, shop.learned(change(_SHOP))


if __name__ == "__main__":
    main()
