"""``dangol items|offers|placements|audiences|experiments|triggers``: the same three commands for each kind of thing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import experiments, placements
from cli.output import answer, people, plain_table, print_json, progress_bars
from cli.session import DEFAULT_ADDRESS, Address, Json, Timeout, session_of
from models.progress import Progress

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from dangol.client import Client

BATCH = 250
BATCH_BYTES = 1_000_000
"""How many things, and how many bytes of them, go into one call: Redis and the server do nothing else meanwhile."""

File = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, help="JSON Lines, or one JSON array.", metavar="FILE")
]


@dataclass(frozen=True, slots=True)
class Kind:
    """Names one kind of thing: its plural, its message, its id field and what a line about it says."""

    plural: str
    message: str
    id_field: str
    columns: tuple[str, ...]
    example_id: str

    def message_class(self) -> type["Message"]:
        """Give the API's class of this kind."""
        from dangol.v1 import catalog_pb2

        found: type[Message] = getattr(catalog_pb2, self.message)
        return found

    def upsert(self, client: "Client", things: Sequence["Message"]) -> int:
        """Store things; gives the catalogue version."""
        method: Callable[[Sequence[Message]], int] = getattr(client, f"upsert_{self.plural}")
        return method(things)

    def delete(self, client: "Client", ids: Sequence[str]) -> int:
        """Delete things; gives the catalogue version."""
        method: Callable[[Sequence[str]], int] = getattr(client, f"delete_{self.plural}")
        return method(ids)

    def list(self, client: "Client") -> Iterator["Message"]:
        """List things by id."""
        method: Callable[..., Iterator[Message]] = getattr(client, f"list_{self.plural}")
        return method(page_size=1_000)


KINDS = (
    Kind("items", "Item", "item_id", ("item_id", "title", "category", "price"), "1082185"),
    Kind("offers", "Offer", "offer_id", ("offer_id", "title", "item_ids", "discount", "end_time"), "bread-week-12"),
    Kind("placements", "Placement", "placement", ("placement", "size", "plain_items", "rebuys"), "home-top"),
    Kind("audiences", "Audience", "audience_id", ("audience_id", "customer_ids"), "newcomers"),
    Kind(
        "experiments", "Experiment", "experiment_id", ("experiment_id", "placements", "mode", "status"), "home-ranking"
    ),
    Kind("triggers", "Trigger", "trigger", ("trigger", "kind", "status", "priority"), "cart-reminder"),
)


MORE_COMMANDS: Mapping[str, Sequence[tuple[str, Callable[..., None]]]] = {
    "placements": (("apply", placements.apply), ("history", placements.history), ("restore", placements.restore)),
    "experiments": (("report", experiments.report),),
}
"""What can be done with one kind of thing only."""


def add_to(app: typer.Typer) -> None:
    """Register one group for each kind."""
    for kind in KINDS:
        group = typer.Typer(help=f"List, store and delete {kind.plural}.", no_args_is_help=True)
        for name, command in (("list", _list_of(kind)), ("upsert", _upsert_of(kind)), ("delete", _delete_of(kind))):
            group.command(name)(command)
        for name, command in MORE_COMMANDS.get(kind.plural, ()):
            group.command(name)(command)
        app.add_typer(group, name=kind.plural, rich_help_panel="Keep the catalogue")


def _list_of(kind: Kind) -> Callable[..., None]:
    def listing(
        context: typer.Context, address: Address = DEFAULT_ADDRESS, timeout: Timeout = 10.0, as_json: Json = False
    ) -> None:
        from cli.messages import document_of

        with session_of(context).client(address, timeout) as client:
            documents = map(document_of, kind.list(client))
            if as_json:
                for document in documents:
                    print_json(document)
                return
            table = plain_table(*kind.columns)
            for document in documents:
                table.add_row(*(_cell(document.get(column, "")) for column in kind.columns))
        people().print(table if table.row_count else f"There are no {kind.plural}.")

    listing.__doc__ = f"""List {kind.plural} by id.

    Example: `dangol {kind.plural} list --json > {kind.plural}.jsonl`
    """
    return listing


def _cell(value: object) -> str:
    if isinstance(value, list):
        return f"{len(value):,}"
    if isinstance(value, dict):
        return ", ".join(_cell(part) for part in value.values())
    return str(value)


def _upsert_of(kind: Kind) -> Callable[..., None]:
    def upsert(
        context: typer.Context,
        file: File,
        address: Address = DEFAULT_ADDRESS,
        timeout: Timeout = 30.0,
        as_json: Json = False,
    ) -> None:
        from cli.messages import read_messages

        things = list(read_messages(file, kind.message_class()))
        with session_of(context).client(address, timeout) as client, progress_bars(not as_json) as progress:
            version = store(client, kind, things, progress)
        stored = {"stored": len(things), "catalog_version": version}
        answer(stored, as_json, lambda console: console.print(f"{len(things):,} {kind.plural} stored"))

    upsert.__doc__ = f"""Store {kind.plural} from a file; each replaces what had the same id.

    Example: `dangol {kind.plural} upsert {kind.plural}.jsonl`
    """
    return upsert


def store(client: "Client", kind: Kind, things: Sequence["Message"], progress: Progress) -> int:
    """Store any number of things, batch by batch; gives the last catalogue version, 0 for nothing."""
    version = 0
    with progress.stage(f"storing {kind.plural}", len(things)) as stage:
        for batch in _batches(things):
            version = kind.upsert(client, batch)
            stage.advance(len(batch))
    return version


def _batches(things: Sequence["Message"]) -> Iterator[Sequence["Message"]]:
    batch: list[Message] = []
    size = 0
    for thing in things:
        if batch and (len(batch) == BATCH or size + thing.ByteSize() > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(thing)
        size += thing.ByteSize()
    if batch:
        yield batch


def _delete_of(kind: Kind) -> Callable[..., None]:
    def delete(
        context: typer.Context,
        ids: Annotated[list[str], typer.Argument(help="The ids to delete.", metavar="ID...")],
        address: Address = DEFAULT_ADDRESS,
        timeout: Timeout = 10.0,
        as_json: Json = False,
    ) -> None:
        with session_of(context).client(address, timeout) as client:
            version = kind.delete(client, ids)
        document = {"asked": len(ids), "catalog_version": version}
        answer(document, as_json, lambda console: console.print(f"{len(ids):,} {kind.plural} gone"))

    delete.__doc__ = f"""Delete {kind.plural}; an id that does not exist is passed over.

    Example: `dangol {kind.plural} delete {kind.example_id}`
    """
    return delete
