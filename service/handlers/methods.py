"""The exact map of what may be called, made from the generated descriptors. What is not in it is refused."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from service.handlers.caller import Caller, Context

# Each handler takes messages of one class; the table holds which, so that only what fits ever reaches it.
# An answer that its handler has encoded already comes as bytes.
Handler = Callable[[Caller, Any, Context], Awaitable[Message | bytes]]
StreamHandler = Callable[[Caller, AsyncIterator[Any], Context], AsyncIterator[Message] | AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class UnaryMethod:
    """Is one method that takes a message and gives one. ``exempt`` calls pass when the server is full."""

    path: str
    request_class: type[Message]
    handler: Handler
    exempt: bool = False


@dataclass(frozen=True, slots=True)
class StreamMethod:
    """Is one method whose answer, or question, is a stream. ``exempt`` streams are neither refused nor waited for."""

    path: str
    request_class: type[Message]
    handler: StreamHandler
    exempt: bool = False


Method = UnaryMethod | StreamMethod

_WORD_START = re.compile(r"(?<!^)(?=[A-Z])")


def methods_of(service: ServiceDescriptor, implementation: object, *, exempt: bool = False) -> Iterable[Method]:
    """Pair each method of a service with the coroutine, or async generator, of the same name in snake_case.

    AttributeError when the implementation lacks one: a server with a gap does not start.
    """
    for method in service.methods:
        path = f"/{service.full_name}/{method.name}"
        request_class = GetMessageClass(method.input_type)
        handler = getattr(implementation, _WORD_START.sub("_", method.name).lower())
        if method.client_streaming or method.server_streaming:
            yield StreamMethod(path, request_class, handler, exempt)
        else:
            yield UnaryMethod(path, request_class, handler, exempt)
