"""What each source and each behaviour contributes by itself: the same training without it, on the same customers.

The dated sets (see ``benchmarks.bench_quality_dated``) lose one source, the table of items or one event type at a time,
for some of the customers, and gain one of the sources that are not there by default (``more-…``); taobao (see
``benchmarks.bench_quality_static``) loses one behaviour. Every figure is the paired difference of the training with it
to the one without: what is above 0 was worth having. ``--only`` names what is varied, ``--trees`` grows a part of them.
``python -m benchmarks.bench_ablation --data FOLDER [--set NAME] [--customers N] [--trees SHARE] [--only NAME …]``.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from benchmarks.dated_sets import DATED_SETS, EventFiles, write_events
from benchmarks.month_after import MONTH, MonthAfter
from benchmarks.report import report
from benchmarks.static_sets import measure, read_split
from models.artifact import Artifact
from models.progress import SilentProgress
from models.registry import Registry
from training.config import (
    ColumnMapping,
    EventWeight,
    LearnedSettings,
    LearnedSource,
    Resources,
    TrainingConfiguration,
)
from training.event_store import EventStore
from training.job import train
from training.metrics import Ratio
from training.resampling import chances, intervals
from training.scopes import ALL, NEW_TO_CUSTOMER
from training.undated.behaviors import Behaviors
from training.undated.pair_ranker import PairRankerSettings, learn_pair_ranker

_TAOBAO = "taobao"
_EVERYTHING, _MORE = "everything", "more-"
_CLAIMS = tuple((scope, metric) for scope in (ALL, NEW_TO_CUSTOMER) for metric in ("recall@20", "ndcg@20"))

Measured = Mapping[str, Ratio]
"""Measures of one training by name."""


@dataclass(frozen=True, slots=True)
class Variant:
    """Says what a training does without, or beyond the usual."""

    learned: LearnedSettings
    unused_events: Sequence[str] = ()
    with_items: bool = True


def main() -> None:
    """Run one set, or all of them."""
    options = _options()
    for name in [options.set] if options.set else [*DATED_SETS, _TAOBAO]:
        runs = _run_taobao(options) if name == _TAOBAO else _run_dated(name, options)
        _, everything = next(runs)
        for metric, ratio in everything.items():
            judged = f"{int((ratio.wholes > 0).sum()):,} customers, {options.trees:.0%} of the trees"
            report(_figure(name, metric), ratio.value, "", against=judged)
        for varied, measured in runs:
            pair = (measured, everything) if varied.startswith(_MORE) else (everything, measured)
            _report(f"{name}.{varied}", *pair)


def _run_dated(name: str, options: argparse.Namespace) -> Iterator[tuple[str, Measured]]:
    """Train as usual, then with one thing varied at a time; yields what it was, and what was reached."""
    with TemporaryDirectory() as folder:
        files = write_events(name, options.data, Path(folder), customers=options.customers, shuffled=False)
        registry = Registry(Path(folder) / "models")
        with EventStore(Resources(threads=options.threads)) as store:
            month = MonthAfter(store, files)
            variants = _variants(_usual(options.trees), month.event_types())
            for varied in _chosen(list(variants), options.only):
                table = month.compare({varied: _train(files, variants[varied], registry, options)})
                yield varied, {f"{scope}.{metric}": table[varied, scope][metric] for scope, metric in _CLAIMS}


def _usual(trees: float) -> LearnedSettings:
    settings = LearnedSettings()
    rounds = {name: max(1, round(trees * getattr(settings, name))) for name in ("binary_rounds", "pairwise_rounds")}
    return settings.model_copy(update=rounds)


def _chosen(names: Sequence[str], only: Sequence[str]) -> Iterator[str]:
    """Name what is trained: everything first, then what is varied, all of it unless some were named."""
    return (name for name in names if name == _EVERYTHING or not only or name in only)


def _variants(usual: LearnedSettings, event_types: Sequence[str]) -> Mapping[str, Variant]:
    target = TrainingConfiguration().target
    more: Sequence[LearnedSource] = [one for one in get_args(LearnedSource) if one not in usual.sources]

    def varied(**changes: object) -> Variant:
        return Variant(usual.model_copy(update=changes))

    return {
        _EVERYTHING: Variant(usual),
        "own-history": varied(own=0),
        **{one: varied(sources=tuple(two for two in usual.sources if two != one)) for one in usual.sources},
        "table-of-items": Variant(usual, with_items=False),
        "last-year": varied(season_windows=0),
        **{name: Variant(usual, unused_events=[name]) for name in event_types if name != target},
        **{f"{_MORE}{one}": varied(sources=(*usual.sources, one)) for one in more},
    }


def _train(files: EventFiles, variant: Variant, registry: Registry, options: argparse.Namespace) -> Artifact:
    configuration = TrainingConfiguration(
        events={name: EventWeight(weight=0) for name in variant.unused_events},
        holdout_days=MONTH,
        ranker="learned",
        learned=variant.learned,
        seed=options.seed,
        resources=Resources(threads=options.threads),
    )
    mapping = ColumnMapping(items=files.items if variant.with_items else None)
    return registry.open(train([str(files.known)], mapping, configuration, registry).manifest.model_version)


def _run_taobao(options: argparse.Namespace) -> Iterator[tuple[str, Measured]]:
    """Teach the ranker with all behaviours, then without each but the target; some of the customers, all items."""
    split = read_split(options.data, _TAOBAO).of_some(options.customers, options.seed)
    settings = PairRankerSettings()
    settings = replace(settings, rounds=max(1, round(options.trees * settings.rounds)))
    for left_out in _chosen([_EVERYTHING, *split.behaviors.others], options.only):
        kept = {name: matrix for name, matrix in split.behaviors.matrices.items() if name != left_out}
        behaviors = Behaviors(split.behaviors.target, kept)
        ranker = learn_pair_ranker(behaviors, settings, options.seed, options.threads, SilentProgress())
        measured: dict[str, Ratio] = {}
        for protocol, rows, hidden in (
            ("standard", split.customer_rows, split.known),
            ("novel", split.customers_of_novel(), split.met),
        ):
            found = measure(ranker.lists(rows, hidden, 10), split.test[rows], 10)
            measured |= {f"{protocol}.{metric}": ratio for metric, ratio in found.items()}
        yield left_out, measured


def _report(name: str, with_it: Measured, without: Measured) -> None:
    for metric in with_it:
        gain = with_it[metric].minus(without[metric])
        # One by one: what is new to customers is judged by fewer of them.
        [(low, high)], [chance] = intervals([gain], seed=1), chances([gain], seed=1)
        report(
            f"{_figure(name, metric)}.gain", gain.value, "",
            against=f"{without[metric].value:.4f}: without it; paired 95 % interval {low:.4f} - {high:.4f},"
            f" chance {chance:.3f}",
        )  # fmt: skip


def _figure(name: str, metric: str) -> str:
    return f"ablation.{name}.{metric.replace('@', '-')}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with the data sets")
    parser.add_argument("--set", choices=(*DATED_SETS, _TAOBAO), help="one of the sets; without it all")
    parser.add_argument("--customers", type=int, default=1_000, help="only so many of them; 0: all")
    parser.add_argument("--trees", type=float, default=1.0, help="the part of the usual trees that are grown")
    parser.add_argument("--only", nargs="*", default=[], help="what is varied; without it everything there is")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
