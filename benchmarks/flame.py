"""Draws where the time of RecommendOffers goes: py-spy looks at a server that is asked for as much as it answers.

What other threads do, and what stands above the event loop in every stack, is left out.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.bench_latency import requests_of
from benchmarks.envoy_echo import PATH
from benchmarks.flame_chart import Stacks, drawn
from benchmarks.harness.servers import running_server
from benchmarks.load import Load, run_load
from benchmarks.shop import published_shop

_PY_SPY = Path(sys.executable).with_name("py-spy")
_LOOP = "Runner.run (asyncio/runners.py)"
_WARM_UP = 3.0


def main() -> None:
    """Publish a shop, ask for its offers, and write the graph."""
    options = _options()
    with (
        published_shop(options.customers, options.items, options.offers) as shop,
        running_server(shop.directory / "server", shop.redis.url, engine="grpcio") as server,
        ThreadPoolExecutor() as pool,
    ):
        load = Load(server.address, PATH, requests_of(options.customers), options.seconds + 2 * _WARM_UP)
        asking = pool.submit(run_load, load)
        recorded = _record(server.processes[0].pid, shop.directory / "stacks", options)
        asking.result()
    title = "Where the time of RecommendOffers goes (engine grpcio; share of the event loop's samples)"
    options.output.write_text(drawn(title, _below_the_loop(recorded)), encoding="utf-8")


def _record(process_id: int, output: Path, options: argparse.Namespace) -> Sequence[str]:
    """Give a line for each stack that was seen: its functions from the outermost on, and how often it was."""
    how = ["--nolineno", "--format", "raw", "--duration", str(options.seconds), "--rate", str(options.rate)]
    subprocess.run([_PY_SPY, "record", "--pid", str(process_id), *how, "--output", output], check=True)
    return output.read_text(encoding="utf-8").splitlines()


def _below_the_loop(recorded: Iterable[str]) -> Stacks:
    stacks = Stacks()
    for line in recorded:
        frames, _, count = line.rpartition(" ")
        _, loop, below = f"{frames};".partition(f"{_LOOP};")
        if loop:
            stacks[tuple(frame for frame in below.split(";") if frame)] += int(count)
    return stacks


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--offers", type=int, default=1_000)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--rate", type=int, default=250, help="samples per second")
    parser.add_argument("--output", type=Path, default=Path("docs/images/flame.svg"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
