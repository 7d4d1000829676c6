"""What pages show besides figures: kept as JSON, laid out as tables, drawn as SVG.

A benchmark that has more to tell than figures leaves it under ``bench-results/`` by :func:`keep`; ``make figures``
takes the newest over into ``docs/`` and writes the tables and pictures anew.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.latency_page import ENGINES, LatencyCurve, picture, table
from benchmarks.report import RESULTS

KEPT = Path("docs")
PAGE = KEPT / "performance.md"
PEERS = Path("benchmarks/peers/README.md")
_NAMES = {
    "dangol-grpcio": "Dangol, engine `grpcio`",
    "dangol-envoy": "Dangol, engine `envoy`",
    "fastapi": "FastAPI + implicit + Redis, first call of a customer",
    "fastapi-cached": "the same, answer in the cache",
    "grpc-aio": "grpc.aio + implicit",
}


@dataclass(frozen=True, slots=True)
class PeerRow:
    """Holds what was found of one service: times in milliseconds, processor time in microseconds a call, memory in MB.

    ``half`` is at half of its own ``calls`` per second, ``same`` at one rate for all.
    """

    name: str
    calls: float
    processor: float
    asking: float
    half_rate: float
    half_p50: float
    half_p99: float
    same_rate: float
    same_p50: float
    same_p99: float
    memory: float
    failures: int


def keep(name: str, found: Mapping[str, Any]) -> None:
    """Leave what a benchmark found where ``make figures`` takes it from."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(found) + "\n", encoding="utf-8")


def scene_of(scene: Mapping[str, Any]) -> str:
    """Say what was measured on, and in how many rounds."""
    size = f"{scene['customers']:,} customers, {scene['items']:,} items, {scene['offers']:,} offers"
    rounds = f"{scene['rounds']} rounds of {scene['seconds']:g} s for each load, latencies of all of them together"
    return f"{size}; {scene['connections']} connections; {rounds}."


def peers_table(rows: Sequence[PeerRow]) -> str:
    """Lay out the services beside each other."""
    rate = rows[0].same_rate
    lines = [
        "| | calls/s | processor µs a call | client's µs a call | p50 at half, ms | p99 at half, ms "
        f"| p50 at {rate:,.0f} calls/s | p99 at {rate:,.0f} calls/s | MB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {_NAMES[row.name]} | {row.calls:,.0f} | {row.processor:.0f} | {row.asking:.0f} | {row.half_p50:.2f} "
        f"| {row.half_p99:.2f} | {row.same_p50:.2f} | {row.same_p99:.2f} | {row.memory:,.0f} |"
        for row in rows
    ]
    return "\n".join(lines)


def with_part(page: str, name: str, part: str) -> str:
    """Put a part between its marks on a page. ValueError when a mark is missing."""
    start, end = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
    before, found, rest = page.partition(start)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"the page lacks {start} or {end}")
    return f"{before}{start}\n{part}\n{end}{after}"


def take_over(name: str) -> dict[str, Any]:
    """Keep the newest of what a benchmark found, and give what is kept."""
    measured, kept = RESULTS / f"{name}.json", KEPT / f"{name}.json"
    if measured.exists():
        kept.write_bytes(measured.read_bytes())
    found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def main() -> int:
    """Take over what was measured and write tables and pictures anew."""
    peers = take_over("peers")
    rows = [PeerRow(**row) for row in peers["rows"]]
    part = f"{scene_of(peers['scene'])}\n\n{peers_table(rows)}"
    PEERS.write_text(with_part(PEERS.read_text(encoding="utf-8"), "peers", part), encoding="utf-8")
    latency = take_over("latency")
    curves = [LatencyCurve(**curve) for curve in latency["curves"]]
    for engine in ENGINES:
        (KEPT / f"images/latency-{engine}.svg").write_text(picture(engine, curves), encoding="utf-8")
    part = f"{scene_of(latency['scene'])}\n\n{table(curves)}"
    PAGE.write_text(with_part(PAGE.read_text(encoding="utf-8"), "latency", part), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
