import asyncio
import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
import redis

from models.errors import InvalidInputError, PreconditionError, UnavailableError
from models.progress import SilentProgress
from models.registry import Registry
from service import publisher
from service.store import health
from service.store.connection import RedisSettings, connect, connect_blocking
from service.store.embedded import EmbeddedRedis
from service.store.generation_store import GenerationStore
from service.store.health import RedisHealth, ServerFacts, server_facts
from tests.models.samples import write_small_artifact
from tests.redis_fixtures import free_port, tcp_redis

CERTIFICATES = Path(__file__).parent / "certificates"


async def answers(settings: RedisSettings) -> bool:
    """Tell whether both kinds of clients get an answer."""
    connection = connect(settings)
    await RedisHealth(connection).ping(5)
    await connection.aclose()
    return await asyncio.to_thread(answers_blocking, settings)


async def refusal(settings: RedisSettings, timeout: float = 5) -> str:
    """Give the error that a client ends with."""
    connection = connect(settings)
    with pytest.raises(UnavailableError) as caught:
        await RedisHealth(connection).ping(timeout)
    await connection.aclose()
    return str(caught.value)


def answers_blocking(settings: RedisSettings) -> bool:
    with connect_blocking(settings) as connection:
        return bool(connection.client.execute_command("PING"))


@contextmanager
def tls_in_front_of(port: int) -> Iterator[int]:
    """Take TLS connections on another port and pass their content on to Redis, which has no TLS of its own here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "certificate.pem", CERTIFICATES / "key.pem")
    started: queue.Queue[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = queue.Queue()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(ConnectionError, ssl.SSLError):
            while content := await reader.read(65_536):
                writer.write(content)
                await writer.drain()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, server_writer), copy(server_reader, writer))

    async def serve() -> None:
        server = await asyncio.start_server(pass_on, "127.0.0.1", 0, ssl=context)
        stopping = asyncio.Event()
        started.put((server.sockets[0].getsockname()[1], asyncio.get_running_loop(), stopping))
        await stopping.wait()
        server.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    tls_port, loop, stopping = started.get()
    yield tls_port
    loop.call_soon_threadsafe(stopping.set)
    thread.join()


async def test_a_single_server_answers(redis_url: str) -> None:
    assert await answers(RedisSettings(url=redis_url))


async def test_a_cluster_answers(redis_cluster_url: str) -> None:
    assert await answers(RedisSettings(url=redis_cluster_url))


def test_a_model_is_published_to_a_cluster_and_rolled_back(redis_cluster_url: str, tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    versions = [write_small_artifact(tmp_path, day).model_version for day in (1, 2)]
    with connect_blocking(RedisSettings(url=redis_cluster_url)) as connection:
        store = GenerationStore(connection)
        first, second = (publisher.publish(registry, version, store, "local", SilentProgress()) for version in versions)
        assert store.overview("local").live == second
        assert publisher.roll_back(registry, store, "local", SilentProgress()).generation == first.generation
        expiring = store.overview("local").record(second.generation)
        assert expiring is not None
        assert expiring.expire_time is not None


async def test_the_primary_is_found_through_sentinels_that_need_no_password_of_their_own(tmp_path: Path) -> None:
    with tcp_redis(tmp_path, "--requirepass", "secret") as port:
        sentinel_port = free_port()
        configuration = tmp_path / "sentinel.conf"
        configuration.write_text(
            f"port {sentinel_port}\nsentinel monitor shop 127.0.0.1 {port} 1\nsentinel auth-pass shop secret\n"
        )
        with tcp_redis(tmp_path, str(configuration), "--sentinel", port=sentinel_port):
            url = f"redis+sentinel://:secret@127.0.0.1:{sentinel_port}"
            assert await answers(RedisSettings(url=f"{url}/shop"))
            assert await refusal(RedisSettings(url=f"{url}/another"))


async def test_user_and_password_from_a_file_let_in_and_may_change(own_redis: EmbeddedRedis, tmp_path: Path) -> None:
    with redis.Redis(unix_socket_path=str(own_redis.socket_path)) as client:
        client.execute_command("ACL SETUSER", "shop", "on", ">first", ">second", "~*", "+@all")
        client.execute_command("ACL SETUSER", "default", "off")
    password_file = tmp_path / "password"
    settings = RedisSettings(url=own_redis.url, username="shop", password_file=password_file)
    for password in ("first\n", "second"):
        password_file.write_text(password)
        assert await answers(settings)
    password_file.write_text("wrong")
    assert "wrong" not in await refusal(settings)
    with redis.Redis(unix_socket_path=str(own_redis.socket_path), username="shop", password="second") as client:
        client.execute_command("ACL SETUSER", "default", "on")


async def test_tls_needs_a_certificate_of_a_known_authority(tmp_path: Path) -> None:
    with tcp_redis(tmp_path) as port, tls_in_front_of(port) as tls_port:
        url = f"rediss://localhost:{tls_port}"
        assert await answers(RedisSettings(url=url, ca_file=CERTIFICATES / "certificate.pem", connect_timeout=5))
        assert await refusal(RedisSettings(url=url, connect_timeout=5))


def test_settings_that_name_absent_files_are_refused(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    with pytest.raises(InvalidInputError, match="redis_password_file"):
        connect(RedisSettings(password_file=absent))
    with pytest.raises(InvalidInputError, match="redis_tls"):
        connect_blocking(RedisSettings(url="rediss://localhost", ca_file=absent))


async def test_a_black_hole_is_given_up_in_the_time_set() -> None:
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen()
        settings = RedisSettings(url=f"redis://127.0.0.1:{hole.getsockname()[1]}", command_timeout=0.05)
        start = time.monotonic()
        await refusal(settings, 10)
        # One attempt and not ten: the defaults of the client library would take most of a minute.
        assert time.monotonic() - start < 5


def test_the_server_tells_its_version_and_that_it_keeps_what_it_is_told(redis_url: str) -> None:
    with connect_blocking(RedisSettings(url=redis_url)) as connection:
        facts = server_facts(connection)
    assert facts.append_only
    assert facts.warnings == ()


async def test_a_cluster_tells_its_version_and_is_warned_about(redis_cluster_url: str) -> None:
    connection = connect(RedisSettings(url=redis_cluster_url))
    facts = await RedisHealth(connection).facts(5)
    await connection.aclose()
    assert facts.append_only is False
    assert "append-only" in facts.warnings[0]


def test_a_redis_before_7_is_refused() -> None:
    with pytest.raises(PreconditionError, match=r"6\.2\.14 is too old"):
        health._facts({"redis_version": "6.2.14", "aof_enabled": 1})
    assert health._facts({"redis_version": "7.0.0"}) == ServerFacts("7.0.0", None)
