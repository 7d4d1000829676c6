"""Envoy's admin interface, over the unix socket or the loopback port that its configuration names."""

import http.client
import json
import socket
from typing import Any, cast

_TIMEOUT = 5.0


class Admin:
    """Asks Envoy and tells it what to do. Every method blocks, for milliseconds; OSError when Envoy does not answer."""

    def __init__(self, address: str) -> None:
        """``address`` is HOST:PORT, or the path of a unix socket."""
        self._address = address

    def listening_port(self, listener: str) -> int | None:
        """Give the port of a listener; None while it does not listen yet."""
        for status in self._ask("GET", "/listeners?format=json").get("listener_statuses", []):
            if status["name"] == listener:
                return int(status["local_address"]["socket_address"]["port_value"])
        return None

    def connections(self, listener: str) -> int:
        """Give how many callers are connected to a listener."""
        name = f"http.{listener}.downstream_cx_active"
        (stat,) = self._ask("GET", f"/stats?format=json&filter=^{name}$")["stats"]
        return int(stat["value"])

    def fail_health_check(self) -> None:
        """Let Envoy ask callers to go elsewhere: every answer from now on says that its connection ends."""
        self._ask("POST", "/healthcheck/fail")

    def send_callers_away(self) -> None:
        """Let every connection end with its next answer; new ones are still taken."""
        self._ask("POST", "/drain_listeners?graceful&skip_exit")

    def stop_listening(self) -> None:
        """Take no new connections; those that are open go on."""
        self._ask("POST", "/drain_listeners")

    def _ask(self, method: str, path: str) -> dict[str, Any]:
        connection = _connection(self._address)
        try:
            connection.request(method, path, headers={"host": "envoy"})
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise OSError(f"Envoy's admin interface answered {path} with {response.status}")
        return cast("dict[str, Any]", json.loads(body)) if body.startswith(b"{") else {}


def _connection(address: str) -> http.client.HTTPConnection:
    if address.startswith("/"):
        return _UnixConnection(address)
    host, _, port = address.rpartition(":")
    return http.client.HTTPConnection(host.strip("[]"), int(port), timeout=_TIMEOUT)


class _UnixConnection(http.client.HTTPConnection):
    """Is HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("envoy", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_TIMEOUT)
        self.sock.connect(self._path)
