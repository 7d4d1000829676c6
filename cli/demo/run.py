"""The demo from end to end: purchases in, ranked offers out over gRPC."""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from cli.demo import ask, show
from cli.demo.campaign import Story, follow, show_story
from cli.demo.catalog import DemoCatalog, build, upload
from cli.demo.data import CUT, DemoData, locate, prepare
from cli.demo.households import Purchases, chosen, read_purchases
from cli.demo.live import LiveDay, events_of_day, live_day, running_worker, show_live_day
from cli.demo.model import trained
from cli.demo.pushes import Drained, drain_pushes, show_pushes
from cli.demo.server import ServerProcess, refuse_second
from cli.interrupts import ending_in_order
from cli.messages import document_of
from cli.output import people, print_json, progress_bars
from cli.publishing import RedisTarget, private_redis, publish
from cli.session import Session
from cli.training_report import show_evaluation
from dangol.client import Client, ClientError
from dangol.v1.offer_service_pb2 import RecommendOffersResponse
from models.errors import UnavailableError
from models.manifest import Manifest
from models.progress import Progress


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Says how the demo runs: ``shown`` in detail; ``households`` above 0 takes the busiest that many only."""

    shown: int = 3
    households: int = 0
    keep: bool = False
    retrain: bool = False
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class Answers:
    """Holds what the server said."""

    slates: Mapping[str, RecommendOffersResponse]
    comparison: ask.Comparison
    latencies: ask.Latencies
    story: Story | None


def run_demo(session: Session, options: DemoOptions) -> None:
    """Run the demo. Whatever ends it, nothing is left running unless ``keep`` was asked and all went well."""
    began = time.monotonic()
    home = (session.home / "demo").absolute()
    console = Console(quiet=True) if options.as_json else people()
    with ending_in_order(), progress_bars(not options.as_json) as progress:
        source = locate()
        home.mkdir(parents=True, exist_ok=True)
        refuse_second(home)
        data = prepare(source, home / "data", options.households, progress)
        manifest = _learn(data, home, options, progress, console)
        # What earlier runs recorded would change what households are offered now.
        shutil.rmtree(home / "redis", ignore_errors=True)
        with private_redis(home) as redis_url:
            publish(Session(home), RedisTarget(redis_url), None, progress)
            with ServerProcess(home) as server:
                catalog = build(data, datetime.now(UTC))
                purchases = read_purchases(data, catalog.targeted())
                try:
                    answers = _ask(server.address, catalog, purchases, options, progress)
                    with running_worker(home, redis_url):
                        events, shown = events_of_day(data), next(iter(answers.slates))
                        day = live_day(redis_url, server.address, home, shown, events, progress)
                        drained = _drain(
                            server.address, catalog, purchases, [*{one.customer_id for one in events}, shown]
                        )
                except ClientError as error:
                    raise UnavailableError(f"{error}: the server's log is {server.log}") from error
                if options.keep:
                    server.keep()
    seconds = time.monotonic() - began
    kept = (server.address, server.process_id) if options.keep else None
    if options.as_json:
        live = {"live_day": asdict(day), "pushes": drained.document()}
        print_json(_document(manifest, purchases, answers, seconds, kept) | live)
    else:
        _show(console, session, catalog, purchases, answers, day, drained, seconds, kept)


def _learn(data: DemoData, home: Path, options: DemoOptions, progress: Progress, console: Console) -> Manifest:
    registry = Session(home).registry()
    manifest, found = trained(data, home, registry, options.retrain, progress)
    counts = manifest.counts
    source = "converted earlier" if data.cached else "converted"
    how = "trained by an earlier run on the same input (--retrain trains again)" if found else "trained"
    console.print(
        f"[green]✓[/green] {counts.get('events', 0):,} purchase lines of {counts.get('customers', 0):,} households "
        f"and {counts.get('items', 0):,} products [dim](completejourney, {source})[/dim]"
    )
    console.print(
        f"[green]✓[/green] model [bold]{manifest.model_version}[/bold] {how}: "
        f"it knows what was bought before {CUT:%-d %B %Y}, and nothing later"
    )
    show_evaluation(console, manifest)
    return manifest


def _ask(address: str, catalog: DemoCatalog, purchases: Purchases, options: DemoOptions, progress: Progress) -> Answers:
    everyone = [household.customer_id for household in purchases.households]
    with Client(address) as client:
        upload(client, catalog, progress)
        ask.wait_for_catalog(client, everyone[0])
        shown = [household.customer_id for household in chosen(purchases.households, options.shown)]
        slates = ask.slates_of(client, shown)
        comparison = ask.compare(client, catalog, purchases, progress)
        latencies = ask.measure(client, everyone, progress)
        return Answers(slates, comparison, latencies, follow(client, catalog, purchases))


def _drain(address: str, catalog: DemoCatalog, purchases: Purchases, busy: Sequence[str]) -> Drained:
    with Client(address, timeout=5.0) as client:
        return drain_pushes(client, catalog, purchases, busy)


def _show(
    console: Console,
    session: Session,
    catalog: DemoCatalog,
    purchases: Purchases,
    answers: Answers,
    day: LiveDay,
    drained: Drained,
    seconds: float,
    kept: tuple[str, int] | None,
) -> None:
    show.show_catalog(console, catalog, len(purchases.households))
    by_id = {household.customer_id: household for household in purchases.households}
    for customer_id, response in answers.slates.items():
        bought = purchases.later.get(customer_id, frozenset())
        show.show_slate(console, by_id[customer_id], response, catalog, bought)
    console.print(
        "[dim]✓ bought that very product in December   (✓) bought another one that the coupon is good for[/dim]"
    )
    if answers.story is not None:
        show_story(console, answers.story)
    show.show_comparison(console, answers.comparison)
    show_live_day(console, day, catalog.titles())
    show_pushes(console, drained)
    last_id, last = next(iter(answers.slates.items()))
    show.show_service(console, last.served, answers.latencies, seconds)
    offers = last.slates[0].offers
    show.show_next(console, str(session.home / "demo"), last_id, offers[0].item_id if offers else "", kept)


def _document(
    manifest: Manifest, purchases: Purchases, answers: Answers, seconds: float, kept: tuple[str, int] | None
) -> dict[str, Any]:
    served = next(iter(answers.slates.values())).served
    return {
        "model_version": served.model_version,
        "generation": served.generation,
        "metrics": manifest.metrics,
        "households": [
            document_of(response) | {"customer_id": customer_id, "bought": sorted(purchases.later.get(customer_id, ()))}
            for customer_id, response in answers.slates.items()
        ],
        "comparison": asdict(answers.comparison),
        "latencies_ms": asdict(answers.latencies),
        "campaign": answers.story.document() if answers.story is not None else None,
        "seconds": round(seconds, 1),
        "address": kept[0] if kept else None,
        "process_id": kept[1] if kept else None,
    }
