"""What Redis can do at best: the MGET of the two keys of a customer, from C without pipelining, and pipelined."""

import csv
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from service.store.connection import RedisSettings, connect_blocking
from service.store.generation_store import GenerationStore
from service.store.keys import customer_keys

_TENANT = "local"
_PROGRAM = "redis-benchmark"
_AT_ONCE = 32


def find_program() -> str:
    """Give the path of Redis' own load generator. RuntimeError saying what to install."""
    found = shutil.which(_PROGRAM)
    if found is None:
        raise RuntimeError(
            f"{_PROGRAM} is not on the PATH: install what your system carries it in "
            "(Debian and Ubuntu: redis-tools, Fedora: redis or valkey, Homebrew: redis)"
        )
    return found


def keys_of(url: str, names: Sequence[str]) -> list[tuple[str, str]]:
    """Give the keys that an answer needs of each customer, in the generation that is served."""
    with connect_blocking(RedisSettings(url)) as connection:
        record = GenerationStore(connection).overview(_TENANT).live
    if record is None:
        raise RuntimeError("nothing is published")
    return [customer_keys(_TENANT, record.generation, name) for name in names]


def ask_from_c(path: Path, keys: tuple[str, str], requests: int, connections: int) -> float:
    """Let redis-benchmark ask for the keys of one customer, one command at a time on each connection; commands/s.

    It can vary nothing but digits of a key, and the rest of ours depends on them: so every run asks for one customer.
    """
    command = [find_program(), "-s", str(path), "-c", str(connections), "-n", str(requests), "--csv", "MGET", *keys]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (row,) = csv.DictReader(printed.splitlines())
    return float(row["rps"])


def ask_pipelined(path: Path, keys: Sequence[tuple[str, str]], seconds: float) -> float:
    """Ask for the keys of one customer after the other, 32 commands at once on one connection; commands/s.

    The commands are prepared beforehand and the answers only counted.
    """
    pieces = _pieces(keys)
    answered, start = 0, time.perf_counter()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        while (elapsed := time.perf_counter() - start) < seconds:
            piece = pieces[answered // _AT_ONCE % len(pieces)]
            expected = piece.count(b"MGET")
            connection.sendall(piece)
            answers = b""
            # Every answer begins with the count of its values; no value of ours contains that line.
            while answers.count(b"*2\r\n") < expected or not answers.endswith(b"\r\n"):
                answers += connection.recv(1 << 18)
            answered += expected
    return answered / elapsed


def _pieces(keys: Sequence[tuple[str, str]]) -> list[bytes]:
    """Write the MGET of each customer as Redis takes it, ``_AT_ONCE`` of them in each piece."""
    commands = [
        b"*3\r\n$4\r\nMGET\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(key), key) for key in map(str.encode, pair))
        for pair in keys
    ]
    return [b"".join(commands[start : start + _AT_ONCE]) for start in range(0, len(commands), _AT_ONCE)]
