"""Server reflection, so that grpcurl and its like need no proto files."""

from collections.abc import AsyncIterator, Iterable

from grpc_reflection.v1alpha import reflection_pb2

from service.handlers.caller import Caller, Context

REFLECTION_SERVICE = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"]


class Reflection:
    """Answers ServerReflection with the library's own servicer, which asks nothing of an engine."""

    def __init__(self, services: Iterable[str]) -> None:
        self._services = (*services, REFLECTION_SERVICE.full_name)

    def server_reflection_info(
        self, _caller: Caller, requests: AsyncIterator[reflection_pb2.ServerReflectionRequest], _context: Context
    ) -> AsyncIterator[reflection_pb2.ServerReflectionResponse]:
        """Describe services and messages, question by question."""
        # It loads all of grpcio, which is asked for here and, inside Envoy, nowhere else.
        from grpc_reflection.v1alpha.reflection import aio  # noqa: PLC0415

        servicer = aio.ReflectionServicer(self._services)
        answers: AsyncIterator[reflection_pb2.ServerReflectionResponse] = servicer.ServerReflectionInfo(requests, None)
        return answers
