"""The standard health service: overall and per service, asked once or watched."""

import asyncio
from collections.abc import AsyncIterator, Iterable

from google.rpc import code_pb2
from grpc_health.v1 import health_pb2

from service.handlers.caller import Caller, Context
from service.handlers.errors import StatusError

_Status = health_pb2.HealthCheckResponse


class Health:
    """Starts as NOT_SERVING; says SERVING between :meth:`set_serving` and :meth:`shut_down`."""

    def __init__(self, services: Iterable[str], early_services: Iterable[str] = ()) -> None:
        """``services`` are full names such as ``dangol.v1.OfferService``; the overall one, "", is added.

        ``early_services`` are those among them that serve from the start.
        """
        self._services = frozenset(services) | {""}
        self._early_services = frozenset(early_services)
        self._serving = False
        self._shut_down = False
        self._ended = False
        self._changed = asyncio.Event()

    @property
    def is_serving(self) -> bool:
        """Tell what is said at present."""
        return self._serving

    def set_serving(self, serving: bool) -> None:
        """Say SERVING or NOT_SERVING from now on; without effect after :meth:`shut_down`."""
        if serving != self._serving and not self._shut_down:
            self._serving = serving
            self._tell_watchers()

    def shut_down(self) -> None:
        """Say NOT_SERVING for good."""
        self._serving = False
        self._shut_down = True
        self._tell_watchers()

    def end_watches(self) -> None:
        """End every watch. Not before the server goes: clients begin a watch that ended anew at once."""
        self._ended = True
        self._tell_watchers()

    async def check(
        self, _caller: Caller, request: health_pb2.HealthCheckRequest, _context: Context
    ) -> health_pb2.HealthCheckResponse:
        """Tell the status of a service. NOT_FOUND when the name is none of ours."""
        if request.service not in self._services:
            raise StatusError(code_pb2.NOT_FOUND, "there is no such service", "NOT_FOUND")
        return _Status(status=self._status_of(request.service))

    async def list(
        self, _caller: Caller, _request: health_pb2.HealthListRequest, _context: Context
    ) -> health_pb2.HealthListResponse:
        """Tell the status of every service."""
        response = health_pb2.HealthListResponse()
        for service in self._services:
            response.statuses[service].status = self._status_of(service)
        return response

    async def watch(
        self, _caller: Caller, requests: AsyncIterator[health_pb2.HealthCheckRequest], _context: Context
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Tell the status of a service now and whenever it changes, until :meth:`end_watches`."""
        async for request in requests:
            told: int | None = None
            while True:
                changed = self._changed
                status = self._status_of(request.service)
                if status != told:
                    yield _Status(status=status)
                    told = status
                if self._ended:
                    return
                await changed.wait()

    def _status_of(self, service: str) -> health_pb2.HealthCheckResponse.ServingStatus:
        if service not in self._services:
            return _Status.SERVICE_UNKNOWN
        serving = self._serving or (service in self._early_services and not self._shut_down)
        return _Status.SERVING if serving else _Status.NOT_SERVING

    def _tell_watchers(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
