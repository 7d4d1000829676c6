"""What was refused while reading, and why: counts for the manifest, a sample for whoever mends the source."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class RefusedReport:
    """Counts refused rows by reason; ``sample`` holds some of each as they stood in the source."""

    counts: Mapping[str, int]
    sample: tuple[Mapping[str, Any], ...]

    @property
    def total(self) -> int:
        """Count all refused rows."""
        return sum(self.counts.values())

    def write(self, path: Path) -> None:
        """Write the sample as JSON Lines, beside whatever else the run leaves."""
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = (json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in self.sample)
        path.write_text("".join(lines), encoding="utf-8")
