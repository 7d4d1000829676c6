"""How long work tells whoever watches how far it is."""

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, Self


class Stage(Protocol):
    """Is one named part of the work, open while it goes on."""

    def advance(self, count: int = 1) -> None:
        """Tell that ``count`` more units of this stage are done."""


class Progress(Protocol):
    """Takes word of the stages of long work, one after another or nested."""

    def stage(self, name: str, total: int | None) -> AbstractContextManager[Stage]:
        """Open a stage that counts ``total`` units, or an unknown number when None; leaving the context ends it."""


class SilentProgress:
    """Watches nothing: the Progress of whoever does not want to know."""

    def stage(self, name: str, total: int | None) -> "SilentStage":
        """Open a stage that tells nobody."""
        del name, total
        return SilentStage()


class SilentStage:
    """Is the stage of a SilentProgress."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the stage; errors pass through."""

    def advance(self, count: int = 1) -> None:
        """Take the word and forget it."""
