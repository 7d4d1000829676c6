"""Rolling restarts of one of two processes, again and again, while clients call: not one call may fail.

``dangol serve --processes 2`` under its own supervisor, restarted by SIGHUP, default drain; a client with the service
config that is shipped, whose every answer is checked, and a bare echo beside it with the same deadline.
"""

import argparse
import itertools
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness.bed import running_bed
from benchmarks.harness.clients import Call, Load, running_clients
from benchmarks.harness.control import running_echo
from benchmarks.harness.dangol_process import ServerProcess
from benchmarks.harness.reads import report_reads
from benchmarks.report import report

DEADLINE = 1.0
_PROCESSES = 2


def main() -> None:
    """Restart as often as asked for."""
    options = _options()
    settings = {"log_calls": "false", "processes": _PROCESSES, "engine": options.engine}
    with (
        tempfile.TemporaryDirectory(prefix="dangol-bench-") as temporary,
        running_echo() as control,
        running_bed(Path(temporary), settings=settings) as bed,
    ):
        (fleet,) = bed.servers
        load = Load(bed.target, bed.shop, DEADLINE, options.rate, batch_rate=2, batch_size=50, control=control)
        with running_clients(load) as clients:
            begin = time.monotonic()
            _restart(fleet, options.restarts)
            seconds = (time.monotonic() - begin) / options.restarts
            outcome = clients.stop()
        fleet.terminate()
        code = fleet.wait()
    scene = f"{options.restarts} restarts of one of two processes on {options.engine}, deadline {DEADLINE:.0f} s"
    report_reads(f"restarts.{options.engine}", outcome, outcome.reads, scene)
    report(f"restarts.{options.engine}.gap", round(_longest_gap(outcome.reads), 2), "s without an answer, the longest")
    report(f"restarts.{options.engine}.wrong-answers", len(outcome.wrong), "answers", floor=0, goal=0)
    report(f"restarts.{options.engine}.exit-code", code, "of the supervisor", floor=0, goal=0)
    report(f"restarts.{options.engine}.time", round(seconds, 2), "s per restart, drain included")


def _longest_gap(calls: Sequence[Call]) -> float:
    """Give the longest time between two answers, in seconds: how near a run without failures came to some."""
    ended = sorted(call.ended for call in calls if not call.error)
    return max((later - earlier for earlier, later in itertools.pairwise(ended)), default=0.0)


def _restart(fleet: ServerProcess, restarts: int) -> None:
    for number in range(0, restarts, _PROCESSES):
        fleet.renew()
        if number % 20 == 0:
            print(f"# {number + _PROCESSES} restarts", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=("grpcio", "envoy"), default="envoy")
    parser.add_argument("--restarts", type=int, default=1_000)
    parser.add_argument("--rate", type=float, default=50.0, help="RecommendOffers per second")
    return parser.parse_args()


if __name__ == "__main__":
    main()
