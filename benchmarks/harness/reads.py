"""The figures on calls that ask for offers: how many failed, and how many of those the machine does not explain."""

from collections.abc import Sequence

from benchmarks.harness.clients import Call, Outcome
from benchmarks.report import report

_SHOWN = 20


def report_reads(name: str, outcome: Outcome, reads: Sequence[Call], scene: str) -> None:
    """Report reads under figures that begin with ``name``; ``scene`` says what went on meanwhile."""
    failed, missed = len(outcome.failed_reads), sum(bool(call.error) for call in outcome.controls)
    against = f"{len(reads)} calls; {scene}; a bare echo beside them missed {missed} of {len(outcome.controls)}"
    report(f"{name}.failed-calls", failed, "calls", against=against, floor=0, goal=0)
    unexplained = len(_unexplained(outcome))
    against = "failed while the bare echo did not miss the same deadline"
    report(f"{name}.unexplained-failures", unexplained, "calls", against=against, floor=0, goal=0)
    for call in (*outcome.failed_reads[:_SHOWN], *outcome.wrong[:_SHOWN]):
        print(f"# {call}", flush=True)


def _unexplained(outcome: Outcome) -> list[Call]:
    """Give the failed reads that overlap with no missed echo: the machine was there, and still there was no answer."""
    missed = [call for call in outcome.controls if call.error]
    return [
        call
        for call in outcome.failed_reads
        if not any(echo.begun <= call.ended and call.begun <= echo.ended for echo in missed)
    ]
