"""The worker's page over HTTP: ``/metrics`` for Prometheus, ``/health`` for whoever restarts what is not well."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from models.errors import InvalidInputError

Respond = Callable[[str, list[tuple[str, str]]], object]
_TEXT = [("Content-Type", "text/plain; charset=utf-8")]


class _Quiet(WSGIRequestHandler):
    """Logs no requests."""

    def log_message(self, format: str, *_arguments: object) -> None:  # noqa: A002 - the library's name
        pass


@contextlib.contextmanager
def status_page(host: str, port: int, registry: CollectorRegistry, problem: Callable[[], str]) -> Iterator[int]:
    """Serve the page as long as the context, and give the port. InvalidInputError when it cannot be had.

    ``/health`` answers 503 and the problem while there is one.
    """
    metrics = make_wsgi_app(registry)

    def answer(environment: dict[str, Any], respond: Respond) -> Iterable[bytes]:
        if environment["PATH_INFO"] != "/health":
            return cast("Iterable[bytes]", metrics(environment, respond))
        found = problem()
        respond("503 Service Unavailable" if found else "200 OK", _TEXT)
        return [(found or "well").encode() + b"\n"]

    try:
        server = make_server(host, port, answer, ThreadingWSGIServer, _Quiet)
    except OSError as error:
        raise InvalidInputError("metrics_listen", f"cannot listen on {host}:{port}") from error
    thread = threading.Thread(target=server.serve_forever, name="status-page", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
