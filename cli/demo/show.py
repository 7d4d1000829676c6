"""What the demo prints for people."""

from collections.abc import Mapping, Set
from datetime import UTC, datetime

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from cli.demo.ask import SLATE, Comparison, Latencies, bought_mark
from cli.demo.catalog import DemoCatalog
from cli.demo.data import CUT
from cli.demo.households import Household
from cli.money import money_text
from cli.slates import discount_text, reason_text
from dangol.v1.offer_service_pb2 import RankedOffer, RecommendOffersResponse, Served


def show_catalog(console: Console, catalog: DemoCatalog, targeted: int) -> None:
    """Say what the shop has to offer today."""
    running = catalog.running()
    console.print(
        f"[green]✓[/green] {len(running)} coupons of {len({offer.audience_ids[0] for offer in running})} campaigns run "
        f"today, for {targeted:,} households; {len(catalog.offers) - len(running)} wait for their day "
        f"[dim](campaigns moved {catalog.shift.days:,} days, so that {CUT:%-d %B %Y} is today)[/dim]"
    )


def show_slate(
    console: Console,
    household: Household,
    response: RecommendOffersResponse,
    catalog: DemoCatalog,
    bought: Set[str],
) -> None:
    """Print one household's slate with what it really bought marked."""
    slate = response.slates[0]
    table = Table(
        title=(
            f"\nHousehold {household.customer_id}  [dim]"
            f"{household.lines:,} purchases on {household.baskets:,} visits[/dim]"
        ),
        title_justify="left",
        title_style="bold",
        header_style="bold",
        expand=True,
    )
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("offer on", ratio=3)
    table.add_column("price", justify="right", no_wrap=True)
    table.add_column("saves", justify="right", no_wrap=True, style="green")
    table.add_column("until", no_wrap=True)
    table.add_column("why", ratio=4)
    table.add_column("bought\nthen", justify="center", no_wrap=True)
    offer_items = {offer.offer_id: frozenset(offer.item_ids) for offer in catalog.offers}
    titles = catalog.titles()
    for offer in slate.offers:
        mark = bought_mark(offer, bought, offer_items[offer.offer_id])
        table.add_row(*_offer_row(offer, titles), mark, style="" if mark != "·" else "dim")
    console.print(table)


def _offer_row(offer: RankedOffer, titles: Mapping[str, str]) -> tuple[str, ...]:
    terms = offer.terms
    price = ""
    if terms.HasField("price"):
        price = money_text(terms.price)
        if terms.HasField("discounted_price"):
            price = f"[strike dim]{price}[/strike dim] {money_text(terms.discounted_price)}"
    until = datetime.fromtimestamp(terms.end_time.seconds - 1, UTC)
    reasons = [_reason(offer, number, titles) for number in range(min(2, len(offer.reasons)))]
    return (
        str(offer.rank),
        offer.item_title or offer.item_id,
        price,
        discount_text(terms.discount),
        f"{until:%-d %b}",
        "; ".join(filter(None, reasons)),
    )


def _reason(offer: RankedOffer, number: int, titles: Mapping[str, str]) -> str:
    return reason_text(offer.reasons[number], titles, evidence=1)


def show_comparison(console: Console, comparison: Comparison) -> None:
    """Say how good the slates of all targeted households were, beside the trivial ones."""
    table = Table(
        title=f"\nAll {comparison.households:,} targeted households, up to {SLATE} coupons each",
        title_justify="left",
        title_style="bold",
        header_style="bold",
    )
    table.add_column("coupons ranked by")
    table.add_column("shown", justify="right")
    table.add_column("bought that very product in December ✓", justify="right")
    table.add_column("bought something the coupon is good for (✓)", justify="right")
    rows = (
        ("Dangol", comparison.shown, comparison.bought, comparison.bought_of_offer),
        (
            "what most households bought lately",
            comparison.popular_shown,
            comparison.popular_bought,
            comparison.popular_bought_of_offer,
        ),
    )
    for name, shown, bought, bought_of_offer in rows:
        table.add_row(name, f"{shown:,}", _share(bought, shown), _share(bought_of_offer, shown))
    console.print(table)


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({part / whole:.1%})" if whole else "none"


def show_service(console: Console, served: Served, latencies: Latencies, seconds: float) -> None:
    """Say what served, and how fast."""
    console.print(
        f"\n[green]✓[/green] model [bold]{served.model_version}[/bold], generation {served.generation}: "
        f"{latencies.calls} calls over gRPC, one after another: median [bold]{latencies.median:.1f} ms[/bold], "
        f"99 of 100 within [bold]{latencies.slowest_hundredth:.1f} ms[/bold]. All this took {seconds:.0f} s."
    )


def show_next(console: Console, home: str, customer_id: str, item_id: str, kept: tuple[str, int] | None) -> None:
    """Say what to try next; every command works as it is printed."""
    dangol = f"dangol --home {home}"
    lines: list[str] = []
    address = ""
    if kept is None:
        lines += [
            "[dim]# the server has stopped; start it again in another terminal, or run `dangol demo --keep`[/dim]",
            f"{dangol} serve",
        ]
    else:
        address = f" -a {kept[0]}"
        lines.append(f"[dim]# serves at {kept[0]} until you stop it:[/dim] kill {kept[1]}")
    lines += [
        f"dangol recommend {customer_id} -p coupons --explain{address}",
        f"dangol record {customer_id} purchase {item_id}{address}    [dim]# then ask again: it is gone[/dim]",
        f"dangol similar {item_id}{address}",
        f"{dangol} models show",
    ]
    console.print()
    console.print(Panel("\n".join(lines), title="try next", title_align="left", border_style="dim"), soft_wrap=True)
