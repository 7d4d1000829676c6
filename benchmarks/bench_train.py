"""The whole of ``dangol train`` against a bare ``implicit`` fit and recommend on the same matrix, time and peak memory.

Each side runs in a process of its own. ``python -m benchmarks.bench_train [--events N --customers N --items N]``.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from benchmarks.report import report
from models.progress import SilentProgress
from models.registry import Registry
from training.config import ColumnMapping, TrainingConfiguration
from training.event_store import EventStore
from training.files import find_files
from training.interactions import load_interactions
from training.job import train
from training.rows import RowRules

TIME_FLOOR, TIME_GOAL = 1.4, 1.2
MEMORY_FLOOR, MEMORY_GOAL = 1.6, 1.3
BARE_SWEEPS = 15
"""What implicit does when it is not told otherwise."""


def main() -> None:
    """Generate events, measure both sides, print the figures."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="dangol-bench-") as folder:
        if options.role:
            print(json.dumps(_ROLES[options.role](options)))
            return
        options.folder = Path(folder)
        generate(options)
        interactions = _in_process_of_its_own("matrix", options)["interactions"]
        bare = _in_process_of_its_own("bare", options)
        ours = _in_process_of_its_own("train", options)
    against = f"implicit, {BARE_SWEEPS} sweeps and recommend, on {interactions:,} interactions"
    names = ("seconds", "processor_seconds", "megabytes")
    time_ratio, processor_ratio, memory_ratio = (ours[name] / bare[name] for name in names)
    report(
        "train.wall-time", ours["seconds"], "s", against=f"{bare['seconds']:.1f} s: {against}",
        ratio=time_ratio, floor=TIME_FLOOR, goal=TIME_GOAL,
    )  # fmt: skip
    report(
        "train.processor-time", ours["processor_seconds"], "s",
        against=f"{bare['processor_seconds']:.1f} s: {against}", ratio=processor_ratio,
    )  # fmt: skip
    report(
        "train.peak-memory", ours["megabytes"], "MB", against=f"{bare['megabytes']:.0f} MB: {against}",
        ratio=memory_ratio, floor=MEMORY_FLOOR, goal=MEMORY_GOAL,
    )  # fmt: skip
    report("train.interactions", interactions, "interactions")


def generate(options: argparse.Namespace) -> None:
    """Write events: half of a customer's purchases from one of 50 tastes, items of uneven popularity, over 180 days."""
    query = f"""
        SELECT 'event-' || n AS event_id, 'customer-' || lpad(customer::VARCHAR, 8, '0') AS customer_id,
               'item-' || lpad(((choice // 50) * 50 + CASE WHEN hash(n, 3) % 2 = 0 THEN customer % 50
                                ELSE choice % 50 END)::VARCHAR, 6, '0') AS item_id,
               CASE WHEN hash(n, 4) % 4 = 0 THEN 'view' ELSE 'purchase' END AS event_type,
               make_timestamp(1735689600000000 + (hash(n, 5) % 15552000)::BIGINT * 1000000) AS event_time,
               1 + (hash(n, 6) % 3) AS quantity, 1 + choice % 20 + 0.5 AS value
        FROM (SELECT n, (hash(n, 1) % {options.customers})::BIGINT AS customer,
                     floor({options.items - 50} * pow((hash(n, 2) % 1000003) / 1000003.0, 1.6))::BIGINT AS choice
              FROM range({options.events}) numbers(n))"""
    with duckdb.connect(config={"memory_limit": "1GB", "temp_directory": str(options.folder / "spill")}) as connection:
        connection.execute(f"COPY ({query}) TO '{_events(options)}' (FORMAT parquet)")


def make_matrix(options: argparse.Namespace) -> dict[str, Any]:
    """Save the matrix that training itself builds, so that both sides factorise the same one."""
    configuration, mapping = TrainingConfiguration(), ColumnMapping()
    with EventStore(configuration.resources) as store:
        rules = RowRules(mapping, configuration, datetime.now(UTC))
        summary, _ = store.read(find_files([str(_events(options))]), rules, SilentProgress())
        shape = (summary.customers, summary.items)
        matrix = load_interactions(store, configuration, shape, summary.last_second + 1, SilentProgress()).matrix
    for name in ("data", "indices", "indptr"):
        np.save(options.folder / f"{name}.npy", getattr(matrix, name))
    (options.folder / "shape.json").write_text(json.dumps(shape))
    return {"interactions": int(matrix.nnz)}


def run_bare(options: argparse.Namespace) -> dict[str, Any]:
    """Fit and recommend for all customers as the library's own documentation does, with the same factors and lists."""
    settings = TrainingConfiguration()
    arrays = [np.load(options.folder / f"{name}.npy") for name in ("data", "indices", "indptr")]
    matrix = csr_matrix(tuple(arrays), shape=json.loads((options.folder / "shape.json").read_text()), copy=False)
    start = time.perf_counter()
    with threadpool_limits(limits=1, user_api="blas"):
        model = AlternatingLeastSquares(
            factors=settings.factors.factors,
            regularization=settings.factors.regularization,
            iterations=BARE_SWEEPS,
            num_threads=settings.resources.threads,
            random_state=1,
        )
        model.fit(matrix, show_progress=False)
        ids, _ = model.recommend(
            np.arange(matrix.shape[0]), matrix, N=settings.list_size, filter_already_liked_items=False
        )
    return _measured(start) | {"lists": len(ids)}


def run_train(options: argparse.Namespace) -> dict[str, Any]:
    """Run the job from the file of events to the artifact on disk."""
    start = time.perf_counter()
    registry = Registry(options.folder / "models")
    result = train([str(_events(options))], ColumnMapping(), TrainingConfiguration(), registry)
    return _measured(start) | {"lists": result.manifest.counts["customers"]}


_ROLES = {"matrix": make_matrix, "bare": run_bare, "train": run_train}


def _measured(start: float) -> dict[str, float]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": time.perf_counter() - start,
        "processor_seconds": usage.ru_utime + usage.ru_stime,
        "megabytes": usage.ru_maxrss / 1024,
    }


def _in_process_of_its_own(role: str, options: argparse.Namespace) -> dict[str, Any]:
    command: Sequence[str] = [
        sys.executable, "-m", "benchmarks.bench_train", "--role", role, "--folder", str(options.folder),
        "--events", str(options.events), "--customers", str(options.customers), "--items", str(options.items),
    ]  # fmt: skip
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    answer: dict[str, Any] = json.loads(finished.stdout)
    print(f"{role}: {answer}", file=sys.stderr, flush=True)
    return answer


def _events(options: argparse.Namespace) -> Path:
    path: Path = options.folder / "events.parquet"
    return path


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=12_000_000)
    parser.add_argument("--customers", type=int, default=200_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--role", choices=("matrix", "bare", "train"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
