"""What a model was judged by: lists made before a label window, and what the customers bought within it.

Kept beside the model, so that another model can be judged by the same purchases, and both be shown to people.
"""

import io
import zipfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import ArtifactError, InvalidInputError
from models.vocabulary import pack_ids, unpack_ids

NO_ITEM = 0xFFFF_FFFF
"""Stands in ``lists`` after a customer's last."""

WIDTH = 50
"""How many items of each list are kept."""


@dataclass(frozen=True, slots=True)
class Backtest:
    """Holds n customers, ids ascending, with lists that know nothing of the window, and p labels from within it.

    ``lists`` (n, k ≤ WIDTH) uint32 item rows, best first, NO_ITEM after the last. The labels are sorted by owner and
    item: ``label_owners`` (p,) uint32 0 … n-1, ``label_rows`` (p,) uint32 items, ``label_values`` (p,) float64 what was
    spent, in major units of money.
    """

    customer_ids: list[str]
    lists: NDArray[np.uint32]
    label_owners: NDArray[np.uint32]
    label_rows: NDArray[np.uint32]
    label_values: NDArray[np.float64]


def encode_backtest(backtest: Backtest) -> bytes:
    """Write a backtest as the bytes of an npz file; the same backtest gives the same bytes."""
    utf8, offsets = pack_ids(backtest.customer_ids)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        customer_ids=utf8,
        customer_id_offsets=offsets,
        lists=backtest.lists,
        label_owners=backtest.label_owners,
        label_rows=backtest.label_rows,
        label_values=backtest.label_values,
    )
    return buffer.getvalue()


def decode_backtest(content: bytes, items: int, name: str) -> Backtest:
    """Read what :func:`encode_backtest` wrote. ArtifactError naming ``name`` when it is damaged or inconsistent."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            backtest = Backtest(
                unpack_ids(arrays["customer_ids"].astype(np.uint8), arrays["customer_id_offsets"].astype(np.int64)),
                arrays["lists"].astype(np.uint32),
                arrays["label_owners"].astype(np.uint32),
                arrays["label_rows"].astype(np.uint32),
                arrays["label_values"].astype(np.float64),
            )
    except (InvalidInputError, ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ArtifactError(name, f"cannot be read as a backtest ({error})") from error
    if not _fits(backtest, items):
        raise ArtifactError(name, "the sizes of its arrays disagree, or it names what does not exist")
    return backtest


def _fits(backtest: Backtest, items: int) -> bool:
    labels = {len(backtest.label_owners), len(backtest.label_rows), len(backtest.label_values)}
    listed = backtest.lists[backtest.lists != NO_ITEM]
    return bool(
        len(labels) == 1
        and backtest.lists.ndim == 2
        and len(backtest.lists) == len(backtest.customer_ids)
        and np.all(listed < items)
        and np.all(backtest.label_rows < items)
        and np.all(backtest.label_owners < len(backtest.customer_ids))
        and np.isfinite(backtest.label_values).all()
    )
