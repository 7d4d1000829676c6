"""The client: ask a Dangol server for offers, and tell it what customers do.

with Client("127.0.0.1:7411") as client:
    slate = client.recommend_offers("customer-7", "home-top").slates[0]
"""

from dangol.client.aio import AsyncClient
from dangol.client.blocking import Client
from dangol.client.errors import (
    ClientError,
    DeadlineExceededError,
    FieldViolation,
    InvalidRequestError,
    NotFoundError,
    RefusedError,
    ServerUnavailableError,
)
from dangol.client.options import DEFAULT_TARGET, DEFAULT_TIMEOUT, DEFAULT_WRITE_TIMEOUT, SERVICE_CONFIG, Tls

__all__ = [
    "DEFAULT_TARGET",
    "DEFAULT_TIMEOUT",
    "DEFAULT_WRITE_TIMEOUT",
    "SERVICE_CONFIG",
    "AsyncClient",
    "Client",
    "ClientError",
    "DeadlineExceededError",
    "FieldViolation",
    "InvalidRequestError",
    "NotFoundError",
    "RefusedError",
    "ServerUnavailableError",
    "Tls",
]
