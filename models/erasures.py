"""Customers who were erased, known by digests of their ids alone: enough to recognise them, wherever they come back."""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b, sha256
from pathlib import Path

from models.errors import ArtifactError

ERASURES_FILE = "erasures.jsonl"


@dataclass(frozen=True, slots=True)
class ErasedId:
    """Recognises one id: ``digest`` is its BLAKE2b (8 bytes), as values in Redis carry it, ``sha256`` its SHA-256.

    Both are of the id's UTF-8, in hexadecimal.
    """

    digest: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Erasure:
    """Is what remains of an erased customer: when it was (UTC, aware), and how to recognise each of their ids."""

    receipt_id: str
    erase_time: datetime
    ids: tuple[ErasedId, ...]


def erased_id(customer_id: str) -> ErasedId:
    """Give what recognises an id."""
    content = customer_id.encode()
    return ErasedId(blake2b(content, digest_size=8).hexdigest(), sha256(content).hexdigest())


def recognises(erasures: Iterable[Erasure]) -> frozenset[str]:
    """Give the SHA-256 of every id that was erased."""
    return frozenset(one.sha256 for erasure in erasures for one in erasure.ids)


def is_erased(customer_id: str, erased: frozenset[str]) -> bool:
    """Tell whether an id is one of those that were erased, told by their SHA-256."""
    return sha256(customer_id.encode()).hexdigest() in erased


def encode_erasure(erasure: Erasure) -> bytes:
    """Write an erasure as compact JSON."""
    content = {
        "receipt_id": erasure.receipt_id,
        "erase_time": erasure.erase_time.isoformat(),
        "ids": [[one.digest, one.sha256] for one in erasure.ids],
    }
    return json.dumps(content, separators=(",", ":")).encode()


def decode_erasure(content: bytes, place: str) -> Erasure:
    """Read an erasure. ArtifactError names the place when it is none."""
    try:
        fields = json.loads(content)
        ids = tuple(ErasedId(digest, sha256_) for digest, sha256_ in fields["ids"])
        return Erasure(fields["receipt_id"], datetime.fromisoformat(fields["erase_time"]), ids)
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(place, "is not an erasure") from error


class ErasureList:
    """Keeps erasures beside the models, so that whoever reads an old export leaves those customers out."""

    def __init__(self, root: Path) -> None:
        """``root`` is the registry's directory."""
        self._path = root / ERASURES_FILE

    def all(self) -> list[Erasure]:
        """Give every erasure, oldest first."""
        if not self._path.is_file():
            return []
        return [
            decode_erasure(line, f"{self._path}, line {number}")
            for number, line in enumerate(self._path.read_bytes().splitlines(), start=1)
        ]

    def add(self, erasures: Iterable[Erasure]) -> None:
        """Write erasures down, each once."""
        with self._lock():
            known = {erasure.receipt_id for erasure in self.all()}
            new = [erasure for erasure in erasures if erasure.receipt_id not in known]
            with self._path.open("ab") as file:
                for erasure in new:
                    file.write(encode_erasure(erasure) + b"\n")
                file.flush()
                os.fsync(file.fileno())

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_name(".erasures-lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
