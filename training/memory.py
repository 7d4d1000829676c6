"""Gives freed memory back to the system between the steps of a run."""

import ctypes
import gc


def give_back() -> None:
    """Return what was freed: glibc keeps blocks of up to 32 MB for itself. Where there is no glibc, nothing happens."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
