"""``dangol placements apply|history|restore``: rules of placements as one file, and what they were before."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from cli.output import answer, people, plain_table, print_json
from cli.session import DEFAULT_ADDRESS, Address, Json, Timeout, session_of
from models.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from dangol.client import Client
    from dangol.v1.catalog_pb2 import Placement
    from dangol.v1.offer_service_pb2 import PlacementPreview

Name = Annotated[str, typer.Argument(help="The placement's name.", metavar="PLACEMENT")]
_PREVIEWED = 8
"""How many placements one preview takes."""


@dataclass(frozen=True, slots=True)
class Change:
    """Says how a placement differs: by field, before and after; None before a new one and after one that goes."""

    placement: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None

    def fields(self) -> dict[str, tuple[Any, Any]]:
        """Give the fields that differ; None stands for what is not there."""
        before, after = dict(_leaves(self.before or {})), dict(_leaves(self.after or {}))
        names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        return {name: (before.get(name), after.get(name)) for name in names}

    def document(self) -> dict[str, Any]:
        """Write the change for machines."""
        verb = "added" if self.before is None else "removed" if self.after is None else "changed"
        return {"placement": self.placement, "change": verb, "fields": self.fields()}


def apply(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="All placements: TOML, JSON or JSON Lines.", metavar="FILE"),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    customer: Annotated[
        list[str] | None, typer.Option("--customer", help="With --dry-run, whose slates to compare; repeatable.")
    ] = None,
    sample: Annotated[int, typer.Option("--sample", min=1, max=100, help="Else of how many customers.")] = 20,
    channel: Annotated[str, typer.Option("--channel", help="Such as `web`; empty: offers of all channels.")] = "",
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Make the placements of a file the only ones, all in one step.

    Example: `dangol placements apply placements.toml --dry-run`
    """
    wanted = read_placements(file)
    with session_of(context).client(address, timeout) as client:
        before = _stored(client)
        gone = [name for name, one in before.items() if one.etag and name not in {given.placement for given in wanted}]
        previews: list[PlacementPreview] = []
        if dry_run:
            after, previews = _previewed(client, wanted, customer or [], sample, channel)
        else:
            for given in wanted:
                given.etag = before[given.placement].etag if given.placement in before else ""
            if wanted or gone:
                client.upsert_placements(wanted, deleted_placements=gone)
            after = _stored(client)
        kept = {name: one for name, one in after.items() if name not in gone}
    changes = changes_between(before, {**{name: before[name] for name in before if name not in gone}, **kept})
    document = {
        "applied": not dry_run,
        "changes": [change.document() for change in changes],
        "slates": [_slates_document(preview) for preview in previews],
    }
    answer(document, as_json, lambda console: _show(console, changes, previews, dry_run=dry_run))


def history(
    context: typer.Context,
    placement: Name,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 10.0,
    as_json: Json = False,
) -> None:
    """List the newest 20 versions of a placement, and what each changed.

    Example: `dangol placements history home-top`
    """
    with session_of(context).client(address, timeout) as client:
        versions = client.list_placement_versions(placement)
    table = plain_table("version", "since (UTC)", "what changed")
    for place, version in enumerate(versions):
        earlier = versions[place + 1].placement if place + 1 < len(versions) else None
        change = Change(placement, _document(earlier), _document(version.placement))
        since = version.store_time.ToDatetime()
        if as_json:
            stored = change.after is not None
            print_json({"version": version.version, "store_time": since, "stored": stored} | change.document())
        told = _told(change, known=earlier is not None or version.version == 1)
        table.add_row(str(version.version), f"{since:%Y-%m-%d %H:%M:%S}", told)
    if not as_json:
        people().print(table if versions else f"Nothing was ever stored as {placement}.")


def restore(
    context: typer.Context,
    placement: Name,
    version: Annotated[int, typer.Argument(min=1, help="The version to go back to.", metavar="VERSION")],
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 10.0,
    as_json: Json = False,
) -> None:
    """Store an earlier version of a placement again, as its newest.

    Example: `dangol placements restore home-top 3`
    """
    with session_of(context).client(address, timeout) as client:
        versions = client.list_placement_versions(placement)
        found = next((one for one in versions if one.version == version and one.HasField("placement")), None)
        if found is None:
            raise NotFoundError(f"{placement} has no version {version} to go back to: `dangol placements history`")
        earlier = found.placement
        earlier.etag = versions[0].placement.etag
        catalog_version = client.upsert_placements([earlier])
    document = {"placement": placement, "restored": version, "catalog_version": catalog_version}
    answer(document, as_json, lambda console: console.print(f"{placement} is again as in version {version}"))


def read_placements(path: Path) -> "list[Placement]":
    """Read a whole set of placements. InvalidInputError names file, place and problem."""
    from cli.messages import message_of, read_messages
    from dangol.v1.catalog_pb2 import Placement

    if path.suffix != ".toml":
        return list(read_messages(path, Placement))
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInputError(str(path), f"is not TOML ({error})") from error
    tables = content.get("placements")
    if set(content) != {"placements"} or not isinstance(tables, list):
        raise InvalidInputError(str(path), "holds something else than [[placements]]")
    return [message_of(f"{path}: placements[{number}]", table, Placement) for number, table in enumerate(tables)]


def changes_between(before: "Mapping[str, Placement]", after: "Mapping[str, Placement]") -> list[Change]:
    """Give what differs, by name."""
    changes = [
        Change(name, _document(before.get(name)), _document(after.get(name))) for name in sorted({*before, *after})
    ]
    return [change for change in changes if change.fields()]


def _stored(client: "Client") -> "dict[str, Placement]":
    return {one.placement: one for one in client.list_placements(page_size=1_000)}


def _previewed(
    client: "Client", wanted: "Sequence[Placement]", customers: Sequence[str], sample: int, channel: str
) -> "tuple[dict[str, Placement], list[PlacementPreview]]":
    """Ask how placements would be stored and what they would show, all for the same customers."""
    stored: dict[str, Placement] = {}
    previews: list[PlacementPreview] = []
    for start in range(0, len(wanted), _PREVIEWED):
        response = client.preview_placements(
            wanted[start : start + _PREVIEWED],
            customer_ids=customers,
            sample_size=0 if customers else sample,
            channel=channel,
        )
        stored |= {one.placement: one for one in response.placements}
        previews += response.previews
        customers = customers or list(dict.fromkeys(preview.customer_id for preview in previews))
    return stored, previews


def _document(placement: "Placement | None") -> dict[str, Any] | None:
    from cli.messages import document_of

    if placement is None or not placement.placement:
        return None
    document = document_of(placement)
    document.pop("etag", None)
    return document


def _leaves(content: object, path: str = "") -> Iterable[tuple[str, Any]]:
    if isinstance(content, Mapping):
        for name, value in content.items():
            yield from _leaves(value, f"{path}.{name}" if path else name)
    elif isinstance(content, list) and any(isinstance(entry, Mapping) for entry in content):
        for number, value in enumerate(content):
            yield from _leaves(value, f"{path}[{number}]")
    else:
        yield path, content


def _told(change: Change, *, known: bool) -> str:
    if change.after is None:
        return "deleted"
    if change.before is None:
        return "stored" if known else "as it was then"
    return "; ".join(f"{name}: {_text(old)} → {_text(new)}" for name, (old, new) in change.fields().items())


def _text(value: object) -> str:
    return "-" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _show(
    console: Console, changes: Sequence[Change], previews: "Sequence[PlacementPreview]", *, dry_run: bool
) -> None:
    if not changes:
        console.print("The placements are as the file says already.")
        return
    table = plain_table("placement", "field", "now" if dry_run else "before", "then" if dry_run else "now")
    for change in changes:
        names = change.fields()
        for place, (name, (old, new)) in enumerate(names.items()):
            table.add_row(change.placement if place == 0 else "", name, _text(old), _text(new))
    console.print(table)
    _show_slates(console, previews)
    if dry_run:
        console.print("Nothing was changed; the same without --dry-run does it.")


def _show_slates(console: Console, previews: "Sequence[PlacementPreview]") -> None:
    table = plain_table("placement", "customer", "goes", "comes", "moves")
    documents = [_slates_document(preview) for preview in previews]
    differing = [document for document in documents if document["current"] != document["proposed"]]
    for document in differing:
        current, proposed = document["current"], document["proposed"]
        goes = [name for name in current if name not in proposed]
        comes = [name for name in proposed if name not in current]
        stay = [name for name in proposed if name in current]
        moves = sum(current.index(name) != proposed.index(name) for name in stay)
        table.add_row(
            document["placement"], document["customer_id"], ", ".join(goes), ", ".join(comes), str(moves or "")
        )
    if documents:
        console.print(f"{len(differing):,} of {len(documents):,} slates of real customers would be others.")
    if differing:
        console.print(table)


def _slates_document(preview: "PlacementPreview") -> dict[str, Any]:
    return {
        "customer_id": preview.customer_id,
        "placement": preview.proposed.placement,
        "current": [offer.offer_id or offer.item_id for offer in preview.current.offers],
        "proposed": [offer.offer_id or offer.item_id for offer in preview.proposed.offers],
    }
