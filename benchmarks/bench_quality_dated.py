"""Quality on published sets with dates: lists of before a month, against all that was bought in it.

completejourney (a package) is cut at 2017-12-01, online_retail_ii at 2011-11-09. A model is trained by
``training.job.train`` on the events before the cut alone; every customer with a purchase in the month after it counts,
and whoever was unknown is given the list for everyone, as when served. Ranked is the whole catalogue.

The list for quality is trained with the defaults and the trees; the list for revenue with ``learned.revenue_mix``, of
several values the one whose lists held most revenue in the month *before* the cut. Gains are paired differences: for
all items to the customer's own history with a half-life of 120 days, for new ones to what sells now, for the list for
revenue to the one for quality. Each set runs in a process of its own, and once more on a copy whose items are shuffled,
where nothing may be found but what is popular.
``python -m benchmarks.bench_quality_dated --data FOLDER [--set NAME] [--shuffled] [--customers N]``.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.dated_sets import DATED_SETS, EventFiles, write_events
from benchmarks.month_after import MONTH, OWN_HISTORY, POPULAR_EVER, MonthAfter
from benchmarks.report import report
from models.artifact import Artifact
from models.progress import SilentProgress, Stage
from models.registry import Registry
from training.config import ColumnMapping, LearnedSettings, Resources, TrainingConfiguration
from training.evaluation import OURS, POPULAR_NOW, Table, rows_of
from training.event_store import EventStore
from training.job import train
from training.resampling import chances, intervals
from training.scopes import ALL, NEW_TO_CUSTOMER

_QUALITY, _REVENUE = OURS, "revenue"
_CALIBRATION_ERROR = 0.02
_CUSTOMERS_PER_SECOND = (300.0, 1_500.0)
_CHANCE = 1.25
"""How much better than the popular items a list may be on shuffled data, where its choice among them is luck."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Says what a measure in a scope has to reach, and which other lists its gain is taken over."""

    scope: str
    metric: str
    floor: float | None
    goal: float | None
    rival: str


@dataclass(frozen=True, slots=True)
class Claims:
    """Holds the claims on one set: those of the list for quality, and those of the list for revenue."""

    quality: Sequence[Claim]
    revenue: Sequence[Claim]


_CLAIMS: Mapping[str, Claims] = {
    "completejourney": Claims(
        (
            Claim(ALL, "recall@20", 0.142, 0.150, OWN_HISTORY),
            Claim(ALL, "ndcg@20", 0.375, 0.392, OWN_HISTORY),
            Claim(NEW_TO_CUSTOMER, "recall@20", 0.031, 0.038, POPULAR_NOW),
            Claim(NEW_TO_CUSTOMER, "ndcg@20", 0.050, 0.060, POPULAR_NOW),
            Claim(ALL, "revenue-share@20", 0.195, 0.205, OWN_HISTORY),
            Claim(ALL, "revenue-share@50", 0.268, 0.282, OWN_HISTORY),
        ),
        (
            Claim(ALL, "revenue-share@20", 0.215, 0.235, _QUALITY),
            Claim(ALL, "revenue-share@50", 0.290, 0.310, _QUALITY),
            Claim(ALL, "ndcg@20", None, None, _QUALITY),
        ),
    ),
    "online_retail_ii": Claims(
        (
            Claim(ALL, "recall@20", 0.250, 0.270, OWN_HISTORY),
            Claim(ALL, "ndcg@20", 0.338, 0.362, OWN_HISTORY),
            Claim(NEW_TO_CUSTOMER, "recall@20", 0.125, 0.158, POPULAR_NOW),
            Claim(NEW_TO_CUSTOMER, "ndcg@20", 0.140, 0.175, POPULAR_NOW),
            Claim(ALL, "revenue-share@20", 0.33, 0.365, OWN_HISTORY),
            Claim(ALL, "revenue-share@50", 0.46, 0.505, OWN_HISTORY),
        ),
        (
            Claim(ALL, "revenue-share@20", 0.35, 0.375, _QUALITY),
            Claim(ALL, "revenue-share@50", 0.48, 0.52, _QUALITY),
            Claim(ALL, "ndcg@20", None, None, _QUALITY),
        ),
    ),
}


def main() -> None:
    """Run one set, or all of them, each in a process of its own."""
    options = _options()
    if options.set:
        with TemporaryDirectory() as folder:
            _run(options.set, Path(folder), options)
        return
    for name in DATED_SETS:
        for more in ([], ["--shuffled"]):
            _in_process_of_its_own(name, more, options)


def _run(name: str, folder: Path, options: argparse.Namespace) -> None:
    files = write_events(name, options.data, folder, customers=options.customers, shuffled=options.shuffled)
    trainer = _Trainer(files, Registry(folder / "models"), options)
    quality = trainer.train(0.0)
    if not options.shuffled:
        trainer.report_speed(name, quality)
    with EventStore(Resources(threads=options.threads)) as store:
        month = MonthAfter(store, files)
        if options.shuffled:
            _report_chance(name, month.compare({_QUALITY: quality}))
            return
        table = month.compare({_QUALITY: quality})
        _report_claims(f"quality.{name}", table, _QUALITY, _CLAIMS[name].quality)
        _report_calibration(name, month, quality)
        revenue = trainer.best_for_revenue(options.revenue_mix)
        table = month.compare({_QUALITY: quality, _REVENUE: revenue})
        _report_claims(f"quality.{name}.list-for-revenue", table, _REVENUE, _CLAIMS[name].revenue)


class _Trainer:
    """Trains on what is known before the cut, and takes the time."""

    def __init__(self, files: EventFiles, registry: Registry, options: argparse.Namespace) -> None:
        self._files = files
        self._registry = registry
        self._options = options
        self._watch = _Watch()
        self._seconds = 0.0

    def train(self, revenue_mix: float) -> Artifact:
        """Train with everything else as it is by default."""
        configuration = TrainingConfiguration(
            holdout_days=MONTH,
            ranker="learned",
            learned=LearnedSettings(revenue_mix=revenue_mix),
            seed=self._options.seed,
            resources=Resources(threads=self._options.threads),
        )
        start = time.perf_counter()
        mapping = ColumnMapping(items=self._files.items)
        result = train([str(self._files.known)], mapping, configuration, self._registry, self._watch)
        self._seconds = time.perf_counter() - start
        return self._registry.open(result.manifest.model_version)

    def best_for_revenue(self, mixes: Sequence[float]) -> Artifact:
        """Train with each of these values, and take what the month before the cut liked best."""
        trained = {mix: self.train(mix) for mix in mixes}
        reached = {mix: _revenue_before_the_cut(artifact) for mix, artifact in trained.items()}
        best = max(reached, key=lambda mix: reached[mix])
        print(f"revenue in the top 20 of the month before, by revenue_mix: {reached}; {best}", file=sys.stderr)
        return trained[best]

    def report_speed(self, name: str, artifact: Artifact) -> None:
        """Report what the training just done took."""
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        customers, items = (artifact.manifest.counts[counted] for counted in ("customers", "items"))
        speed, (floor, goal) = customers / self._watch.seconds["lists"], _CUSTOMERS_PER_SECOND
        against = f"{customers:,} customers, {items:,} items, {self._options.threads} threads"
        report(f"quality.{name}.scoring", speed, "customers/s", against=against, floor=floor, goal=goal)
        report(f"quality.{name}.peak-memory", megabytes, "MB", against="the whole training")
        report(f"quality.{name}.seconds", self._seconds, "s", against="the whole training, with its own evaluation")


class _Watch:
    """Takes the time of every stage; of those of one name the last counts."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, total: int | None) -> Iterator[Stage]:
        start = time.perf_counter()
        with SilentProgress().stage(name, total) as stage:
            yield stage
        self.seconds[name] = time.perf_counter() - start


def _report_claims(prefix: str, table: Table, name: str, claims: Sequence[Claim]) -> None:
    """Report what lists reach, and what they gain over their rivals."""
    ours = [table[name, claim.scope][claim.metric] for claim in claims]
    theirs = [table[claim.rival, claim.scope][claim.metric] for claim in claims]
    gains = [our.minus(their) for our, their in zip(ours, theirs, strict=True)]
    bounds, paired = intervals(ours, seed=1), intervals(gains, seed=1)
    for place, (claim, chance) in enumerate(zip(claims, chances(gains, seed=1), strict=True)):
        (low, high), (least, most) = bounds[place], paired[place]
        customers = int((ours[place].wholes > 0).sum())
        figure = f"{prefix}.{claim.scope}.{claim.metric.replace('@', '-')}"
        report(
            figure, ours[place].value, "", floor=claim.floor, goal=claim.goal,
            against=f"95 % interval {low:.4f} - {high:.4f}, {customers:,} customers",
        )  # fmt: skip
        report(
            f"{figure}.gain", gains[place].value, "",
            against=f"{theirs[place].value:.4f}: {claim.rival}; paired 95 % interval {least:.4f} - {most:.4f},"
            f" chance {chance:.3f}",
        )  # fmt: skip


def _report_calibration(name: str, month: MonthAfter, artifact: Artifact) -> None:
    calibrated = month.calibration(artifact)
    *_, surest = calibrated["bins"]
    report(
        f"quality.{name}.calibration-error", calibrated["error"], "", floor=_CALIBRATION_ERROR,
        against=f"P of all that known customers were listed; of the surest tenth {surest}",
    )  # fmt: skip


def _report_chance(name: str, table: Table) -> None:
    """Compare with the popular items, the best that can be known of shuffled data."""
    for metric in ("recall@20", "ndcg@20"):
        ours, usual = (table[lists, ALL][metric].value for lists in (_QUALITY, POPULAR_EVER))
        report(
            f"quality.{name}-shuffled.{metric.replace('@', '-')}", ours, "", against=f"{usual:.4f}: what is popular",
            ratio=ours / usual, floor=_CHANCE,
        )  # fmt: skip


def _revenue_before_the_cut(artifact: Artifact) -> float:
    rows = rows_of(artifact.manifest.metrics["evaluation"])
    return next(row.values["revenue-share@20"] for row in rows if (row.lists, row.scope) == (OURS, ALL))


def _in_process_of_its_own(name: str, more: Sequence[str], options: argparse.Namespace) -> None:
    command = [
        sys.executable, "-m", "benchmarks.bench_quality_dated", "--data", str(options.data), "--set", name,
        "--customers", str(options.customers), "--seed", str(options.seed), "--threads", str(options.threads),
        "--revenue-mix", *map(str, options.revenue_mix), *more,
    ]  # fmt: skip
    subprocess.run(command, check=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with the data sets")
    parser.add_argument("--set", choices=tuple(DATED_SETS), help="one of the sets; without it all, and shuffled ones")
    parser.add_argument("--shuffled", action="store_true", help="on a copy whose items are shuffled")
    parser.add_argument("--customers", type=int, default=0, help="only so many of them; 0: all")
    parser.add_argument("--revenue-mix", type=float, nargs="+", default=[1.0], help="values to choose from")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
