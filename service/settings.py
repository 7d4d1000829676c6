"""The settings of a server process: read once at its start, from the environment and the command line."""

import json
import secrets
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from models.errors import InvalidInputError

Seconds = Annotated[float, Field(gt=0, le=3600)]
Days = Annotated[float, Field(ge=0.01, le=36_500)]
Bytes = Annotated[int, Field(ge=1024, le=1 << 30)]


def _listenable(address: str) -> str:
    host, separator, port = address.rpartition(":")
    if not (host and separator and port.isdecimal() and int(port) <= 65_535):
        raise ValueError("must be HOST:PORT, with port 0 for any free one")
    return address


Listen = Annotated[str, AfterValidator(_listenable)]


class Settings(BaseSettings):
    """Says how a server runs. Each field is set by the environment variable of its name in capitals after DANGOL_."""

    model_config = SettingsConfigDict(env_prefix="DANGOL_", frozen=True, extra="forbid", env_ignore_empty=True)

    home: Path = Field(Path(".dangol"), description="Directory of the private Redis and of the models")
    listen: Listen = Field("127.0.0.1:7411", description="Address for gRPC; port 0 takes a free one")
    processes: int = Field(
        1, ge=1, le=256, description="Server processes that are kept running, on this port and the next ones"
    )
    share_port: bool = Field(False, description="Whether other processes may listen on the same port (SO_REUSEPORT)")
    engine: Literal["auto", "envoy", "grpcio"] = Field(
        "auto", description="Transport; `auto` takes Envoy where it can run and do what is set, and grpcio elsewhere"
    )
    metrics_listen: Listen | Literal["off"] = Field(
        "127.0.0.1:0", description="Address for Prometheus; port 0 takes a free one; `off` for none"
    )
    ready_file: Path | None = Field(None, description="File that tells, as JSON, the addresses once they are open")
    tenant: str = Field("local", pattern=r"^[a-z0-9-]{1,32}$", description="Shop that is served; begins every key")
    registry: Path | None = Field(
        None, description="Directory of models whose CURRENT follows promotions; empty is `home`/models where it exists"
    )

    redis_url: str = Field("", description="Where Redis is; empty starts the private one under `home`")
    redis_username: str = Field("", description="ACL user; above the one in the URL")
    redis_password_file: Path | None = Field(None, description="File with the password, read at every connect")
    redis_ca_file: Path | None = Field(None, description="PEM file of the authorities that Redis is checked against")
    redis_certificate_file: Path | None = Field(None, description="PEM file to show Redis, for mutual TLS")
    redis_key_file: Path | None = Field(None, description="PEM file of that certificate's key")
    redis_pool_size: int = Field(16, ge=2, le=1024, description="Connections to Redis at most")
    redis_connect_timeout: Seconds = Field(0.25, description="Seconds to connect to Redis")
    redis_command_timeout: Seconds = Field(2.0, description="Seconds for a command to Redis outside of requests")

    read_timeout: Seconds = Field(0.03, description="Seconds for reading a customer, at most 40 % of the deadline")
    write_timeout: Seconds = Field(2.0, description="Seconds for storing, at most 90 % of the deadline")
    probe_interval: Seconds = Field(0.1, description="Seconds between two looks whether a lost Redis is back")
    poll_interval: Seconds = Field(0.25, description="Seconds between two looks for a new model or catalogue")

    audience_lifetime: Seconds = Field(
        600.0, description="Seconds for which audiences are found by what was read of all lists; then it is read anew"
    )

    durability: Literal["write", "fsync"] = Field(
        "write", description="Whether events are acknowledged when Redis has them, or when its disk has (Redis 7.2)"
    )
    event_id_days: Days = Field(7.0, description="Days for which an event sent again under its id counts once")
    profile_days: Days = Field(180.0, description="Days after which a customer of whom nothing is heard is forgotten")
    archive: str = Field(
        "", description="Folder or URL (`s3://bucket/prefix`) of the archive of events; empty is `home`/archive"
    )
    archive_interval: Seconds = Field(60.0, description="Seconds that an event may wait to be archived")
    worker_interval: Seconds = Field(0.02, description="Seconds between two looks of a worker that found no event")
    worker_patience: Seconds = Field(
        30.0, description="Seconds after which events that a worker got and did not apply are another one's"
    )

    push_interval: Seconds = Field(
        300.0, description="Seconds between two looks of a worker at all customers for what to push"
    )

    maximal_calls: int = Field(256, ge=1, le=100_000, description="Calls worked on at once; one more is refused")
    maximal_waiting: int = Field(
        256, ge=1, le=100_000, description="Calls that wait to be begun; one more is turned away; engine `grpcio` only"
    )
    maximal_request_bytes: Bytes = Field(4 << 20, description="Largest request that is taken")
    maximal_response_bytes: Bytes = Field(16 << 20, description="Largest response that is sent")
    keepalive_time: Seconds = Field(30.0, description="Seconds of silence before a client is pinged")
    keepalive_timeout: Seconds = Field(10.0, description="Seconds for its answer before the connection is closed")
    minimal_ping_interval: Seconds = Field(10.0, description="Seconds that clients must leave between their pings")
    maximal_connection_age: float = Field(
        0.0, ge=0, le=86_400, description="Seconds after which a client is asked to connect anew; 0 never"
    )
    maximal_streams: int = Field(1024, ge=1, le=1 << 30, description="Calls at once on one connection")
    tls_certificate_file: Path | None = Field(None, description="PEM file to show callers; without one no TLS")
    tls_key_file: Path | None = Field(None, description="PEM file of that certificate's key")
    tls_client_ca_file: Path | None = Field(
        None, description="PEM file of the authorities that callers' certificates are checked against, for mutual TLS"
    )
    json_calls: bool = Field(True, description="Whether calls may come as JSON over HTTP; engine `envoy` only")
    web_origins: tuple[str, ...] = Field(
        (),
        description='JSON list of origins whose pages may call (gRPC-Web, JSON), `["*"]` for all; engine `envoy` only',
    )
    access_log: Path | None = Field(None, description="File for a line per HTTP request; engine `envoy` only")
    envoy_admin: Listen | Literal["off"] = Field(
        "off", description="Address of Envoy's admin port, on the loopback only; `off` keeps it on a private socket"
    )
    reflection: bool = Field(True, description="Whether server reflection is offered")
    extra_event_types: tuple[str, ...] = Field((), description="JSON list of event types besides the built-in ones")

    drain_delay: float = Field(1.0, ge=0, le=600, description="Seconds between health off and the last new call")
    drain_timeout: float = Field(20.0, ge=0, le=600, description="Seconds that calls in flight get to finish")

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged")
    log_calls: bool = Field(True, description="Whether every call is logged")
    log_hash_key: SecretStr = Field(
        SecretStr(""), max_length=64, description="Key of the hash that hides ids in the log; empty draws a new one"
    )

    @model_validator(mode="after")
    def _check_event_types(self) -> Self:
        for event_type in self.extra_event_types:
            parts = event_type.split("-")
            if len(event_type) > 32 or not all(part.isalnum() and part.islower() and part.isascii() for part in parts):
                raise ValueError(f"extra_event_types: {event_type!r} is not kebab-case of at most 32 bytes")
        return self

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_certificate_file and tls_key_file belong together")
        if self.tls_client_ca_file is not None and self.tls_certificate_file is None:
            raise ValueError("tls_client_ca_file needs tls_certificate_file")
        return self

    @model_validator(mode="after")
    def _check_processes(self) -> Self:
        port = split_address(self.listen)[1]
        if port and not self.share_port and port + self.processes - 1 > 65_535:
            raise ValueError("processes: there are not so many ports above that of listen")
        if self.processes > 1 and self.envoy_admin != "off":
            raise ValueError("envoy_admin: one port cannot be that of several processes; leave it off")
        return self

    @model_validator(mode="after")
    def _check_admin(self) -> Self:
        host = self.envoy_admin.rpartition(":")[0].strip("[]")
        if self.envoy_admin != "off" and host not in {"127.0.0.1", "::1", "localhost"}:
            raise ValueError("envoy_admin: whoever reaches the admin port can stop the server: loopback only")
        return self

    @property
    def registry_directory(self) -> Path | None:
        """Give the directory of models, or None when this server has none."""
        if self.registry is not None:
            return self.registry
        beside = self.home / "models"
        return beside if beside.is_dir() else None

    @property
    def archive_location(self) -> str:
        """Give the folder or the URL of the archive."""
        return self.archive or str(self.home / "archive")

    @property
    def hash_key(self) -> bytes:
        """Give the key for hashing ids; a new one at each look when none is set."""
        return self.log_hash_key.get_secret_value().encode() or secrets.token_bytes(32)


class _HandedOver(Settings):
    """Takes what it is given, and nothing from anywhere else."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        *_others: PydanticBaseSettingsSource,
        **_named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def read_settings(**given: object) -> Settings:
    """Read the settings: what is given counts before the environment, that before the defaults.

    InvalidInputError names the first setting that cannot be used.
    """
    try:
        return Settings(**cast("dict[str, Any]", given))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "settings"
        raise InvalidInputError(name, first["msg"]) from None
    except SettingsError as error:
        raise InvalidInputError("settings", f"{error}: it must be JSON") from None


def hand_over(settings: Settings, **changed: object) -> str:
    """Write settings down for another process of this server, secrets included, with some of them changed."""
    given = settings.model_dump(mode="json") | changed
    given["log_hash_key"] = settings.log_hash_key.get_secret_value()
    return json.dumps(given)


def handed_over(written: str) -> Settings:
    """Give the settings that :func:`hand_over` wrote. The environment is not looked at."""
    return Settings.model_construct(**dict(_HandedOver(**json.loads(written))))


def split_address(address: str) -> tuple[str, int]:
    """Take HOST:PORT apart; an IPv6 host keeps its brackets."""
    host, _, port = address.rpartition(":")
    return host, int(port)
