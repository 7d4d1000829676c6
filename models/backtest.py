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

WIDTH = 255
"""How many items of each list are kept, at most: whole lists, as what is new to a customer stands far down in them."""


@dataclass(frozen=True, slots=True)
class Backtest:
    """Holds n customers, ids ascending, with lists that know nothing of the window, and p labels from within it.

    ``lists`` (n, k ≤ WIDTH) uint32 item rows, best first, NO_ITEM after the last. The labels are sorted by owner and
    item: ``label_owners`` (p,) uint32 0 … n-1, ``label_rows`` (p,) uint32 items, ``label_values`` (p,) float64 what was
    spent, in major units of money. ``history_rows`` (h,) uint32 are the items that the customers had met before the
    window, those of customer i from ``history_offsets`` (n+1,) int64 [i] on, ascending; ``history_bought`` (h,) tells
    which of them they had bought. ``young_rows`` (y,) uint32 are the items new in the shop then.
    """

    customer_ids: list[str]
    lists: NDArray[np.uint32]
    label_owners: NDArray[np.uint32]
    label_rows: NDArray[np.uint32]
    label_values: NDArray[np.float64]
    history_offsets: NDArray[np.int64]
    history_rows: NDArray[np.uint32]
    history_bought: NDArray[np.bool_]
    young_rows: NDArray[np.uint32]


_TYPES = {
    "lists": np.uint32,
    "label_owners": np.uint32,
    "label_rows": np.uint32,
    "label_values": np.float64,
    "history_offsets": np.int64,
    "history_rows": np.uint32,
    "history_bought": np.bool_,
    "young_rows": np.uint32,
}


def encode_backtest(backtest: Backtest) -> bytes:
    """Write a backtest as the bytes of an npz file; the same backtest gives the same bytes."""
    utf8, offsets = pack_ids(backtest.customer_ids)
    buffer = io.BytesIO()
    arrays = {name: getattr(backtest, name) for name in _TYPES}
    np.savez_compressed(buffer, allow_pickle=False, customer_ids=utf8, customer_id_offsets=offsets, **arrays)
    return buffer.getvalue()


def decode_backtest(content: bytes, items: int, name: str) -> Backtest:
    """Read what :func:`encode_backtest` wrote. ArtifactError naming ``name`` when it is damaged or inconsistent."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            ids = unpack_ids(arrays["customer_ids"].astype(np.uint8), arrays["customer_id_offsets"].astype(np.int64))
            backtest = Backtest(ids, **{name: arrays[name].astype(kind) for name, kind in _TYPES.items()})
    except (InvalidInputError, ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ArtifactError(name, f"cannot be read as a backtest ({error})") from error
    if not _fits(backtest, items):
        raise ArtifactError(name, "the sizes of its arrays disagree, or it names what does not exist")
    return backtest


def _fits(backtest: Backtest, items: int) -> bool:
    customers = len(backtest.customer_ids)
    offsets, history = backtest.history_offsets, backtest.history_rows
    labels = {len(backtest.label_owners), len(backtest.label_rows), len(backtest.label_values)}
    rows = (backtest.lists[backtest.lists != NO_ITEM], backtest.label_rows, history, backtest.young_rows)
    return bool(
        len(labels) == 1
        and backtest.lists.ndim == 2
        and len(backtest.lists) == customers
        and len(offsets) == customers + 1
        and (offsets[0], offsets[-1]) == (0, len(history))
        and np.all(np.diff(offsets) >= 0)
        and len(backtest.history_bought) == len(history)
        and all(np.all(named < items) for named in rows)
        and np.all(backtest.label_owners < customers)
        and np.isfinite(backtest.label_values).all()
    )
