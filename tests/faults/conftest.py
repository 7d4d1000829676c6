from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.harness.bed import Bed, running_bed

# The machine may be busy with other tests: a server must not take a slow Redis for a lost one.
PATIENT = {"read_timeout": 0.3, "log_level": "warning", "engine": "grpcio"}


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    """Run a shop with one server."""
    with running_bed(tmp_path, settings=PATIENT) as running:
        yield running


@pytest.fixture
def bed_of_two(tmp_path: Path) -> Iterator[Bed]:
    """Run a shop with two servers."""
    with running_bed(tmp_path, servers=2, settings=PATIENT) as running:
        yield running
