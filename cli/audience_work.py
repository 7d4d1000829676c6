"""Asks for an audience, goes on where the stream breaks off, and shows who was found, or writes them to a file."""

import csv
import io
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from cli.output import plain_table
from cli.slates import reasons_text
from dangol.client import Client, ServerUnavailableError
from dangol.client.audiences import AudienceQuestion
from dangol.v1 import catalog_pb2
from dangol.v1.audience_service_pb2 import (
    AudienceCustomer,
    AudienceProgress,
    AudienceSummary,
    FindAudienceResponse,
)
from dangol.v1.offer_service_pb2 import TraceRule
from models.errors import InvalidInputError
from models.progress import Progress, Stage
from service.store.exports import replacing

_ATTEMPTS = 3
_PAUSE = 1.0
_REBUYS = {
    "": catalog_pb2.REBUYS_UNSPECIFIED,
    "later": catalog_pb2.REBUYS_LATER,
    "allowed": catalog_pb2.REBUYS_ALLOWED,
    "refused": catalog_pb2.REBUYS_REFUSED,
}
_COLUMNS = ("rank", "customer_id", "score", "item_id", "reasons")

_LEFT_OUT = {
    TraceRule.TRACE_RULE_WEEKLY_HOURS: "the offer is not on at this hour",
    TraceRule.TRACE_RULE_AUDIENCE: "in none of the audiences",
    TraceRule.TRACE_RULE_EXCLUDED: "in an audience that is left out",
    TraceRule.TRACE_RULE_CONSENT: "no consent",
    TraceRule.TRACE_RULE_DISMISSED: "dismissed it",
    TraceRule.TRACE_RULE_COOLDOWN: "the offer pauses for them",
    TraceRule.TRACE_RULE_CAP: "a cap is reached",
    TraceRule.TRACE_RULE_ELIGIBILITY: "not eligible",
    TraceRule.TRACE_RULE_QUIET_HOURS: "quiet hours",
    TraceRule.TRACE_RULE_BOUGHT: "bought it",
    TraceRule.TRACE_RULE_ITEMS: "no longer in their list",
}


def rebuys_of(text: str) -> catalog_pb2.Rebuys.ValueType:
    """Read the rule on rebuys. InvalidInputError names the option."""
    if text not in _REBUYS:
        raise InvalidInputError("--rebuys", "is none of later, allowed and refused")
    return _REBUYS[text]


class Search:
    """Gives the customers of one answer; ``summary`` is there when they were all given."""

    def __init__(
        self, client: Client, placement: str, question: AudienceQuestion, timeout: float, progress: Progress
    ) -> None:
        """``question`` names its limit."""
        self._client = client
        self._placement = placement
        self._question = question
        self._timeout = timeout
        self._progress = progress
        self.summary = AudienceSummary()

    def __iter__(self) -> Iterator[AudienceCustomer]:
        with ExitStack() as stages:
            limit = self._question["limit"]
            reading = _Reading(self._progress, stages)
            finding: Stage | None = None
            for response in self._responses():
                if response.HasField("progress"):
                    reading.tell(response.progress)
                    continue
                if finding is None:
                    stages.close()
                    finding = stages.enter_context(self._progress.stage("find customers", limit))
                yield from response.batch.customers
                finding.advance(len(response.batch.customers))
                self.summary = response.summary

    def _responses(self) -> Iterator[FindAudienceResponse]:
        """Give the messages of the stream; where the server goes away, go on with another or when it is back."""
        question, failures = self._question, 0
        while True:
            try:
                for response in self._client.find_audience(self._placement, timeout=self._timeout, **question):
                    yield response
                    if response.HasField("batch"):
                        question["resume_token"] = response.batch.resume_token
                        question["limit"] -= len(response.batch.customers)
                        failures = 0
            except ServerUnavailableError:
                failures += 1
                if failures == _ATTEMPTS or question["limit"] <= 0:
                    raise
                time.sleep(_PAUSE)
            else:
                return


class _Reading:
    """Shows how far the server has read the lists."""

    def __init__(self, progress: Progress, stages: ExitStack) -> None:
        self._progress = progress
        self._stages = stages
        self._stage: Stage | None = None
        self._told = 0

    def tell(self, told: AudienceProgress) -> None:
        if self._stage is None:
            self._stage = self._stages.enter_context(self._progress.stage("read all lists", told.customer_count))
        self._stage.advance(told.read_count - self._told)
        self._told = told.read_count


def write_csv(path: Path, customers: Search) -> None:
    """Write customers, one a line below the names of the columns, into a file that is there only when it is whole."""
    with replacing(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        writer = csv.writer(text)
        writer.writerow(_COLUMNS)
        for one in customers:
            reasons = reasons_text(one.reasons, {})
            writer.writerow((one.rank, one.customer_id, f"{one.score:.6g}", one.item_id, reasons))
        text.detach()  # or the file would be closed before it is in its place


def show(console: Console, customers: Sequence[AudienceCustomer], path: Path | None, summary: AudienceSummary) -> None:
    """Print who was found, or where they were written, and the counts."""
    if customers:
        table = plain_table("", "customer", "score", "item", "why")
        for one in customers:
            reasons = reasons_text(one.reasons, {})
            table.add_row(str(one.rank), one.customer_id, f"{one.score:.4g}", one.item_id, reasons)
        console.print(table)
    place = f" written to {path}" if path is not None else ""
    console.print(
        f"{summary.found_count:,} customers found{place}, of {summary.candidate_count:,} who have it in their list; "
        f"{summary.considered_count:,} were looked at"
    )
    for left_out in summary.left_out_counts:
        console.print(f"  left out: {left_out.count:,} {_LEFT_OUT.get(left_out.rule, TraceRule.Name(left_out.rule))}")
    listed = summary.lists_time.ToDatetime().isoformat(sep=" ", timespec="seconds")
    console.print(f"[dim]model {summary.served.model_version}, lists as of {listed} UTC or newer[/dim]")
    if summary.resume_token:
        console.print(f"[dim]there are more: --resume {summary.resume_token}[/dim]")
