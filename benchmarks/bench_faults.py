"""What clients notice of failures: killed publishers, moved models, a lost Redis, drained servers.

Real processes throughout: ``dangol serve`` and ``dangol publish``, a real Redis, and clients that check every answer
against what the shop must answer. Every RecommendOffers has a deadline of 100 ms.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.harness import outages, publishing
from benchmarks.harness.bed import Bed, running_bed
from benchmarks.harness.clients import RECOMMEND, Call, Load, Outcome, RunningClients, running_clients
from benchmarks.harness.control import running_echo
from benchmarks.harness.dangol_process import run_dangol
from benchmarks.harness.reads import report_reads
from benchmarks.report import report
from dangol.client import Client

DEADLINE = 0.1
BATCH_DEADLINE = 1.0
_MOVE_PATIENCE = 10.0
_QUIET = {"log_calls": "false"}


def main() -> None:
    """Run what was asked for, each part in a shop of its own."""
    options = _options()
    for part in options.parts:
        with tempfile.TemporaryDirectory(prefix="dangol-bench-") as directory, running_echo() as options.control:
            _PARTS[part](Path(directory), options)


def _publishing(directory: Path, options: argparse.Namespace) -> None:
    """Kill publishers at random points and move between two models while clients call."""
    randomness = random.Random(options.seed)
    with running_bed(directory, customers=options.customers, settings=_QUIET) as bed:
        size = publishing.publish_at_leisure(bed, "b")
        with running_clients(_load(bed, options)) as clients, Client(bed.servers[0].address) as client:
            kills, moves = [], []
            for number in range(options.times):
                letter = "b" if bed.shop.letters[publishing.live(bed).model_version] == "a" else "a"
                kills.append(publishing.kill_publisher(bed, letter, _point(size, number, options.times, randomness)))
                moves.append(_move(bed, clients, client, number))
            outcome = clients.stop()
        aborted = len(publishing.remains(bed))
        _wait_for_leases(bed)
        run_dangol(bed.home, "publish", "--redis-url", bed.redis.url)
        left = len(publishing.remains(bed))
    early = sum(kill.killed and not kill.went_live for kill in kills)
    late = sum(kill.killed and kill.went_live for kill in kills)
    ended = len(kills) - early - late
    scene = f"{early} publishers killed before, {late} after the pointer moved, {ended} had ended; {len(moves)} moves"
    report_reads("faults.publishing", outcome, outcome.reads, scene)
    mixed = len(outcome.wrong) + len(outcome.torn_generations)
    report("faults.publishing.mixed-answers", mixed, "answers", floor=0, goal=0)
    report(
        "faults.publishing.remains",
        left,
        "generations",
        against=f"{aborted} left behind by the killed",
        floor=0,
        goal=0,
    )
    report("faults.publishing.slowest-move", round(max(moves), 3), "s", floor=1.0, goal=1.0)
    _report_latency("publishing", [call for call in outcome.reads if call.kind == RECOMMEND], outcome.controls)


def _point(size: int, number: int, times: int, randomness: random.Random) -> int:
    """Draw a point of the publish: by turns anywhere in its bytes, or in the first or last few commands."""
    edges = (4_000, size - 4_000)
    drawn = (randomness.randrange(size), randomness.randrange(edges[0]), randomness.randrange(edges[1], size))
    return drawn[(0, 0, 1, 2)[number * 4 // times]]


def _move(bed: Bed, clients: RunningClients, client: Client, number: int) -> float:
    """Serve the other model: by promoting it, or by rolling back; give seconds until a client sees it."""
    before = publishing.live(bed).model_version
    other = next(version for version in bed.shop.letters if version != before)
    begin = time.monotonic()
    if number % 2 == 0:
        moved = client.promote_model(other, force=True, timeout=_MOVE_PATIENCE)
    else:
        moved = client.roll_back_model(timeout=_MOVE_PATIENCE)
    if moved.model_version == before:
        moved = client.promote_model(other, force=True, timeout=_MOVE_PATIENCE)
    return clients.wait_until(lambda call: call.model_version == moved.model_version).ended - begin


def _wait_for_leases(bed: Bed) -> None:
    """Wait until every publisher that was killed is taken for dead."""
    leases = [record.lease_time for record in publishing.overview(bed).records if record.lease_time is not None]
    while leases and datetime.now(UTC) <= max(leases):
        time.sleep(0.5)


def _outages(directory: Path, options: argparse.Namespace) -> None:
    """Take Redis away in every way while clients call."""
    for name, outage in outages.OUTAGES.items():
        with running_bed(directory / name, customers=options.customers, settings=_QUIET) as bed:
            load = _load(bed, options, event_rate=20.0)
            with running_clients(load) as clients:
                calm = time.monotonic()
                time.sleep(options.seconds)
                found = outage(bed, clients, options.seconds)
                time.sleep(options.seconds / 2)
                outcome = clients.stop()
            _report_outage(name, bed, found, outcome, calm)


def _report_outage(name: str, bed: Bed, found: outages.Outage, outcome: Outcome, calm: float) -> None:
    meanwhile = found.calls(outcome)
    seconds = found.end - found.begin
    report_reads(
        f"faults.{name}", outcome, outcome.reads, f"{len(meanwhile)} of them within {seconds:.1f} s without Redis"
    )
    unflagged = len(found.unflagged(outcome))
    report(f"faults.{name}.unflagged-answers", unflagged, "answers", floor=0, goal=0)
    report(f"faults.{name}.wrong-answers", len(outcome.wrong), "answers", floor=0, goal=0)
    before = [call for call in outcome.reads if call.is_within(calm, found.begin)]
    beside = [call for call in outcome.controls if call.is_within(found.begin, found.end)]
    _report_latency(name, [call for call in meanwhile if call.kind == RECOMMEND], beside, before)
    report(f"faults.{name}.recovery", round(found.recovered - found.end, 3), "s", against=_RECOVERY[name])
    _report_events(name, bed, found, outcome)


_RECOVERY = {
    "stopped": "Redis killed, until a whole answer after its start began",
    "frozen": "Redis halted, until a whole answer after SIGCONT",
    "black-hole": "bytes swallowed, until a whole answer after they pass again",
    "emptied": "FLUSHALL, until a whole answer after dangol rebuild began",
}


def _report_events(name: str, bed: Bed, found: outages.Outage, outcome: Outcome) -> None:
    logged = outages.logged_events(bed)
    # What was acknowledged before Redis was emptied is as old as the export that it was rebuilt from.
    since = found.begin if name == "emptied" else 0.0
    lost = len(outages.lost_events(outcome, logged, since)) + len(outages.repeated_events(logged))
    against = f"{len(outcome.acknowledged)} acknowledged of {len(outcome.attempted)}"
    report(f"faults.{name}.lost-or-repeated-events", lost, "events", against=against, floor=0, goal=0)


def _draining(directory: Path, options: argparse.Namespace) -> None:
    """Restart one of two servers after the other while clients call."""
    with running_bed(directory, customers=options.customers, servers=2, settings=_QUIET) as bed:
        load = Load(
            bed.target, bed.shop, BATCH_DEADLINE, options.rate, batch_rate=10, batch_size=50, control=options.control
        )
        codes = []
        with running_clients(load) as clients:
            for number in range(options.restarts):
                server = bed.servers[number % 2]
                server.terminate()
                codes.append(server.wait())
                server.start()
                time.sleep(options.seconds / 2)
            outcome = clients.stop()
    report_reads(
        "faults.draining", outcome, outcome.reads, f"{len(codes)} restarts of one of two servers, deadline 1 s"
    )
    report("faults.draining.exit-codes", sum(code != 0 for code in codes), "servers", floor=0, goal=0)
    report("faults.draining.wrong-answers", len(outcome.wrong), "answers", floor=0, goal=0)


def _load(bed: Bed, options: argparse.Namespace, event_rate: float = 0.0) -> Load:
    return Load(
        bed.target,
        bed.shop,
        DEADLINE,
        options.rate,
        batch_rate=2,
        batch_size=20,
        event_rate=event_rate,
        event_deadline=1.0,
        control=options.control,
    )


def _report_latency(name: str, calls: Sequence[Call], beside: Sequence[Call], before: Sequence[Call] = ()) -> None:
    """Report the latency that 99 % of the calls stayed below; a call that failed took as long as it took."""
    against = f"deadline {DEADLINE * 1000:.0f} ms; bare echo beside: {_percentile(beside):.1f} ms"
    against += f"; before: {_percentile(before):.1f} ms" if before else ""
    report(f"faults.{name}.p99", round(_percentile(calls), 1), "ms", against=against, floor=100.0, goal=50.0)


def _percentile(calls: Sequence[Call]) -> float:
    latencies = sorted(call.latency for call in calls)
    return latencies[int(len(latencies) * 0.99)] * 1000


_PARTS: dict[str, Callable[[Path, argparse.Namespace], None]] = {
    "publishing": _publishing,
    "outages": _outages,
    "draining": _draining,
}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(_PARTS), help=f"of {', '.join(_PARTS)}; all unless given")
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=50.0, help="RecommendOffers per second")
    parser.add_argument("--times", type=int, default=20, help="kills of a publisher, and moves between models")
    parser.add_argument("--restarts", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each outage")
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


if __name__ == "__main__":
    main()
