"""Serves metrics in Prometheus' text format over HTTP."""

import contextlib
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, start_http_server

from models.errors import InvalidInputError
from service.settings import split_address


@contextlib.contextmanager
def serving_metrics(listen: str, registry: CollectorRegistry) -> Iterator[int | None]:
    """Serve a registry at HOST:PORT as long as the context, and give the port; None when ``listen`` is ``off``.

    InvalidInputError naming ``metrics_listen`` when the address cannot be had.
    """
    if listen == "off":
        yield None
        return
    host, port = split_address(listen)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise InvalidInputError("metrics_listen", f"cannot listen on {listen}") from error
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
