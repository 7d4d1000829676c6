"""Publishers that are killed on their way, and what they leave behind."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from subprocess import Popen

from benchmarks.harness.bed import TENANT, Bed
from benchmarks.harness.dangol_process import start_dangol
from benchmarks.harness.proxy import TcpProxy
from models.progress import SilentProgress
from models.registry import Registry
from service.publisher import publish
from service.store.connection import RedisSettings, SyncConnection, connect_blocking
from service.store.generation_record import GenerationRecord, GenerationState
from service.store.generation_store import GenerationStore, Overview

_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Kill:
    """Tells what was live before and after a publisher was killed, and whether the kill came before its end."""

    before: GenerationRecord
    after: GenerationRecord
    killed: bool

    @property
    def went_live(self) -> bool:
        """Tell whether the publisher had moved the pointer when it died."""
        return self.before.generation != self.after.generation


def publish_at_leisure(bed: Bed, letter: str) -> int:
    """Publish with ``dangol publish``, and give the bytes that it sent to Redis."""
    with _publishing(bed, letter, None) as (process, proxy):
        _, complaint = process.communicate(timeout=_PATIENCE)
        if process.returncode != 0:
            msg = f"dangol publish ended with {process.returncode}: {complaint}"
            raise RuntimeError(msg)
        return proxy.bytes_sent


def kill_publisher(bed: Bed, letter: str, sent: int) -> Kill:
    """Kill ``dangol publish`` with SIGKILL when Redis has got exactly so many bytes of it."""
    before = live(bed)
    with _publishing(bed, letter, sent) as (process, proxy):
        while not proxy.reached.wait(0.01) and process.poll() is None:
            pass
        killed = process.poll() is None
        process.kill()
        process.wait()
    return Kill(before, live(bed), killed)


def publish_both_at_once(bed: Bed, sent: int) -> list[tuple[str, int, str]]:
    """Let two publishers begin, hold both midway, and let them race; give letter, exit code and stderr of each."""
    with contextlib.ExitStack() as stack:
        rivals = [
            (letter, *stack.enter_context(_publishing(bed, letter, sent))) for letter in bed.shop.letters.values()
        ]
        for _, _, proxy in rivals:
            if not proxy.reached.wait(_PATIENCE):
                msg = "a publisher ended before it was held"
                raise RuntimeError(msg)
        for _, _, proxy in rivals:
            proxy.release()
        endings = []
        for letter, process, _ in rivals:
            _, complaint = process.communicate(timeout=_PATIENCE)
            endings.append((letter, process.returncode, complaint))
        return endings


def live(bed: Bed) -> GenerationRecord:
    """Give the generation that is live."""
    record = overview(bed).live
    if record is None:
        msg = "nothing is live"
        raise RuntimeError(msg)
    return record


def overview(bed: Bed) -> Overview:
    """Give what Redis knows of generations."""
    with connect_blocking(RedisSettings(bed.redis.url)) as connection:
        return GenerationStore(connection).overview(TENANT)


def stored_keys(bed: Bed) -> Counter[int]:
    """Count the lists and parts of item models that are stored, by generation."""
    found: Counter[int] = Counter()
    with bed.redis.client() as client:
        for name in client.scan_iter(f"{TENANT}:*", count=1_000):
            kind, _, rest = name.decode().partition("}:")[2].partition(":")
            if kind in {"c", "model"}:
                found[int(rest.partition(":")[0])] += 1
    return found


def remains(bed: Bed) -> list[str]:
    """Say which generations are neither live nor retired whole: the remains of publishers that did not get through."""
    records = {record.generation: record for record in overview(bed).records}
    keys = stored_keys(bed)
    found = [f"keys of generation {number} without a record" for number in keys if number not in records]
    for number, record in records.items():
        if record.state not in {GenerationState.LIVE, GenerationState.RETIRED}:
            found.append(f"generation {number} is {record.state.value}")
        elif (
            keys[number] != record.customers + record.parts + record.fold_parts
            or record.customers != bed.shop.customers
        ):
            found.append(f"generation {number} has {keys[number]} keys")
    return found


def publish_later(bed: Bed, letter: str, later: timedelta) -> GenerationRecord:
    """Publish as if so much time had passed, so that whoever was killed meanwhile is taken for dead."""
    registry = Registry(bed.home / "models")
    with connect_blocking(RedisSettings(bed.redis.url)) as connection:
        store = _LaterStore(connection, later)
        return publish(registry, bed.shop.version(letter), store, TENANT, SilentProgress())


class _LaterStore(GenerationStore):
    """Is a store whose clock goes ahead."""

    def __init__(self, connection: SyncConnection, later: timedelta) -> None:
        super().__init__(connection)
        self._later = later

    def now(self) -> datetime:
        return super().now() + self._later


@contextlib.contextmanager
def _publishing(bed: Bed, letter: str, sent: int | None) -> Iterator[tuple["Popen[str]", TcpProxy]]:
    """Run ``dangol publish`` through a proxy that holds it after so many bytes; it is killed at the end if it runs."""
    with TcpProxy(bed.redis.port) as proxy:
        if sent is not None:
            proxy.hold_after(sent)
        arguments = ("publish", bed.shop.version(letter), "--redis-url", proxy.url, "--json")
        with start_dangol(bed.home, *arguments) as process:
            try:
                yield process, proxy
            finally:
                process.kill()
