"""Quality on published splits without dates, against the best that papers report of the same splits.

gowalla: the protocol of LightGCN (He and others 2020): the whole catalogue but what a customer has in train is ranked,
Recall@20 and NDCG@20. taobao: the split of MB-CGCN (Cheng and others 2023): one purchase per customer is to be found in
the whole catalogue, HR@10 and NDCG@10; *standard* leaves out what the customer bought in train, *novel* everything they
met in any behaviour, for the customers whose test purchase is none of that.

Everything is tuned and taught on parts of train. Each set runs in a process of its own, and once more on a copy whose
items are shuffled, where nothing may be found but what is popular.
``python -m benchmarks.bench_quality_static --data FOLDER [--set gowalla|taobao] [--shuffled] [--customers N]``.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from benchmarks.report import report
from benchmarks.static_sets import STATIC_SETS, Split, measure, read_split
from models.progress import SilentProgress
from training.metrics import Ratio
from training.resampling import intervals
from training.sources.scorer import Scorer
from training.undated.ensemble import MODELS, fit_ensemble
from training.undated.holdout import unseen_lists
from training.undated.mixture import Mixture
from training.undated.pair_ranker import PairRankerSettings, learn_pair_ranker
from training.undated.tuning import tune_ensemble

_SECONDS, _MEGABYTES = 300.0, 6 * 1024.0
_CUSTOMERS_PER_BLOCK, _THREADS = 128, 2
_ABLATION_CUSTOMERS = 3_000
_SHUFFLED_CUSTOMERS = 4_000
"""Of a shuffled copy, all items: enough to tell chance from a leak, in a fraction of the time."""

_CHANCE = 1.25
"""How much better than the popular items a list may be on shuffled data, where its choice among them is luck."""


def main() -> None:
    """Run one protocol, or all of them, each in a process of its own."""
    options = _options()
    if options.set:
        split = read_split(options.data, options.set, shuffled=options.shuffled, seed=options.seed)
        _PROTOCOLS[options.set](split.of_some(options.customers, options.seed), options)
        return
    for name in _PROTOCOLS:
        _in_process_of_its_own(name, [], options)
        _in_process_of_its_own(name, ["--shuffled", "--customers", str(_SHUFFLED_CUSTOMERS)], options)


def run_gowalla(split: Split, options: argparse.Namespace) -> None:
    """Tune and fit the ensemble on train and rank the catalogue for every customer of test."""
    start = time.perf_counter()
    found = tune_ensemble(split.known, options.seed, options.threads, SilentProgress())
    tuned = time.perf_counter()
    print(f"seed {options.seed}, tuned in {tuned - start:.0f} s: {found.settings}", file=sys.stderr, flush=True)
    mixture = fit_ensemble(split.known, found.settings, options.seed, options.threads, found.factors)
    lists = _lists(mixture, split.known, split.customer_rows, 20)
    seconds, worked = time.perf_counter() - start, time.process_time()
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    measured = measure(lists, split.test[split.customer_rows], 20)
    if options.shuffled:
        _report_chance("gowalla", measured, split, 20)
        return
    _report_claims("gowalla", measured, {
        "recall-20": (0.183, 0.1915, "LightGCN .1820, SimpleX .1872"),
        "ndcg-20": (0.150, 0.1589, "LightGCN .1547, SimpleX .1557"),
    })  # fmt: skip
    against = f"tuning, fit and all lists; {worked:.0f} s of processor time, imports included"
    report("quality.gowalla.seconds", seconds, "s", against=against, floor=_SECONDS)
    report("quality.gowalla.peak-memory", megabytes, "MB", floor=_MEGABYTES)
    _ablate(mixture, split)


def run_taobao(split: Split, options: argparse.Namespace) -> None:
    """Teach one ranker on train and let it list for both protocols."""
    start = time.perf_counter()
    ranker = learn_pair_ranker(split.behaviors, PairRankerSettings(), options.seed, options.threads, SilentProgress())
    rows = split.customer_rows
    standard = measure(ranker.lists(rows, split.known, 10), split.test[rows], 10)
    seconds, megabytes = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if options.shuffled:
        _report_chance("taobao", standard, split, 10)
        return
    novel_rows = split.customers_of_novel()
    novel = measure(ranker.lists(novel_rows, split.met, 10), split.test[novel_rows], 10)
    _report_claims("taobao-standard", standard, {
        "recall-10": (0.370, 0.400, "CascadingRank .3324, MuLe .1918"),
        "ndcg-10": (0.185, 0.205, "CascadingRank .1626, MuLe .1103"),
    })  # fmt: skip
    _report_claims("taobao-novel", novel, {
        "recall-10": (0.0897, 0.130, "ItemKNN on purchases .0897"),
        "ndcg-10": (0.0641, 0.084, "ItemKNN on purchases .0641"),
    })  # fmt: skip
    report("quality.taobao.novel-customers", len(novel_rows), "customers")
    report("quality.taobao.seconds", seconds, "s", against="models, trees and the standard lists")
    report("quality.taobao.peak-memory", megabytes, "MB")
    gains = dict(zip(ranker.trees.feature_name(), ranker.trees.feature_importance("gain").tolist(), strict=True))
    shares = {name: round(gain / sum(gains.values()), 3) for name, gain in gains.items()}
    print(f"shares of what the trees gained: {shares}", file=sys.stderr)


_PROTOCOLS: Mapping[str, Callable[[Split, argparse.Namespace], None]] = {"gowalla": run_gowalla, "taobao": run_taobao}


def _report_claims(name: str, measured: Mapping[str, Ratio], claims: Mapping[str, tuple[float, float, str]]) -> None:
    bounds = intervals([measured[metric] for metric in claims], seed=1)
    for (metric, (floor, goal, published)), (low, high) in zip(claims.items(), bounds, strict=True):
        customers = int((measured[metric].wholes > 0).sum())
        against = f"95 % interval {low:.4f} - {high:.4f}, {customers:,} customers; {published}"
        report(f"quality.{name}.{metric}", measured[metric].value, "", against=against, floor=floor, goal=goal)


def _report_chance(name: str, measured: Mapping[str, Ratio], split: Split, places: int) -> None:
    """Compare with the popular items, the best that can be known of shuffled data."""
    rows = split.customer_rows
    popular = measure(_lists(_Popular.of(split.known), split.known, rows, places), split.test[rows], places)
    for metric, ratio in measured.items():
        usual = popular[metric].value
        report(
            f"quality.{name}-shuffled.{metric}", ratio.value, "",
            against=f"{usual:.4f}: what is popular; {len(rows):,} customers",
            ratio=ratio.value / usual, floor=_CHANCE,
        )  # fmt: skip


def _ablate(mixture: Mixture, split: Split) -> None:
    """Say what each model reaches alone, and what the mixture loses without it, on some of the customers."""
    rows = np.sort(np.random.default_rng(1).permutation(split.customer_rows)[:_ABLATION_CUSTOMERS])
    truth = split.test[rows]
    whole = measure(_lists(mixture, split.known, rows, 20), truth, 20)["recall-20"]
    for place, name in enumerate(MODELS):
        alone = measure(_lists(mixture.scorers[place], split.known, rows, 20), truth, 20)["recall-20"]
        others = tuple(0.0 if other == place else weight for other, weight in enumerate(mixture.weights))
        without = measure(_lists(Mixture(mixture.scorers, others), split.known, rows, 20), truth, 20)["recall-20"]
        low, high = intervals([whole.minus(without)], seed=1)[0]
        report(
            f"quality.gowalla-{name}.gain", whole.minus(without).value, "recall@20",
            against=f"the mixture without it, 95 % interval {low:.4f} - {high:.4f}; alone it reaches {alone.value:.4f}",
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Popular:
    popularity: NDArray[np.float32]

    @classmethod
    def of(cls, matrix: csr_matrix) -> "_Popular":
        return cls(np.bincount(matrix.indices, minlength=matrix.shape[1]).astype(np.float32))

    def score(self, customer_rows: NDArray[np.int64], histories: csr_matrix) -> NDArray[np.float32]:
        del histories
        return np.tile(self.popularity, (len(customer_rows), 1))


def _lists(scorer: Scorer, known: csr_matrix, rows: NDArray[np.int64], places: int) -> NDArray[np.int64]:
    blocks = [rows[start : start + _CUSTOMERS_PER_BLOCK] for start in range(0, len(rows), _CUSTOMERS_PER_BLOCK)]

    def lists(block: NDArray[np.int64]) -> NDArray[np.int64]:
        return unseen_lists(scorer.score(block, known[block]), known[block], places)

    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(_THREADS) as pool:
        return np.concatenate(list(pool.map(lists, blocks)))


def _in_process_of_its_own(name: str, more: Sequence[str], options: argparse.Namespace) -> None:
    command = [
        sys.executable, "-m", "benchmarks.bench_quality_static", "--data", str(options.data), "--set", name,
        "--seed", str(options.seed), "--threads", str(options.threads), *more,
    ]  # fmt: skip
    subprocess.run(command, check=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with the data sets")
    parser.add_argument("--set", choices=tuple(STATIC_SETS), help="one of the sets; without it all, and shuffled ones")
    parser.add_argument("--shuffled", action="store_true", help="on a copy whose items are shuffled")
    parser.add_argument("--customers", type=int, default=0, help="only so many of them; 0: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
