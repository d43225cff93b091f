"""What Redis's answers and addresses become; the server is a real one, or says what none would."""

import asyncio

import pytest

from flakestorm_web.serving.redis_server import find_server
from replays_app.engine.gateway.board import BoardAway
from replays_app.engine.gateway.ca import CertificateAuthority
from replays_app.standing import redis_wire
from replays_app.standing.board import RedisBoard
from replays_app.standing.redis_wire import Place, Redis, RedisError
from tests.ports import free_port
from tests.standing.place import accepts
from tests.waiting import eventually


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://", Place()),
        ("redis://cache.internal", Place(host="cache.internal")),
        ("redis://:p%40ss@h:6380/3", Place("h", 6380, password="p@ss", db=3)),
        ("rediss://user:secret@h", Place("h", tls=True, user="user", password="secret")),
        ("redis://[::1]:1/?db=2", Place("::1", 1, db=2)),
        ("unix:///var/a%20b/redis.sock?db=1", Place(path="/var/a b/redis.sock", db=1)),
        ("unix://:secret@/r.sock", Place(path="/r.sock", password="secret")),
    ],
)
def test_an_address_is_read_as_other_clients_read_it(url, place):
    assert Place.parse(url) == place
    assert "secret" not in f"{place} {place!r}"


@pytest.mark.parametrize("url", ["http://h", "redis://h:x/", "redis://h/db", "redis://h:99999", ""])
def test_an_address_that_is_none_is_refused_without_its_password(url):
    with pytest.raises(ValueError, match=r"redis://") as refused:
        Place.parse(url.replace("//", "//:secret@"))
    assert "secret" not in str(refused.value)


def ask(place, *commands):
    async def main():
        redis = Redis(Place.parse(place.redis_url))
        try:
            return await asyncio.gather(
                *(redis.ask(*words) for words in commands), return_exceptions=True
            )
        finally:
            redis.close()

    return asyncio.run(main())


def test_many_questions_at_once_get_their_own_answers(place):
    long = "ä\r\n" * 100_000
    commands = [("ECHO", f"{n}") for n in range(200)] + [("ECHO", long), ("ECHO", "")]
    assert ask(place, *commands) == [*map(str, range(200)), long, ""]


def test_every_kind_of_answer_is_read(place):
    script = "return {1, 'a', {false, {}}, redis.status_reply('OK')}"
    assert ask(place, ("EVAL", script, 0), ("GET", "nothing"), ("EVAL", "return {}", 0)) == [
        [1, "a", [None, []], "OK"],
        None,
        [],
    ]


def test_a_refusal_is_that_commands_alone(place):
    wrong, right = ask(place, ("NONSENSE",), ("PING",))
    assert isinstance(wrong, RedisError)
    assert right == "PONG"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "the connection is lost"),
        (b"$5\r\nab", "the connection is lost"),
        (b"HTTP/1.1 400 Bad Request\r\n", "no answer of Redis"),
        (b"-NOAUTH Authentication required.\r\n", "NOAUTH"),
        (b"*1\r\n$x\r\n", "the connection is lost"),
    ],
)
def test_a_server_that_says_something_else_is_away(said, words, monkeypatch):
    monkeypatch.setattr("replays_app.standing.board.PAUSES_S", ())

    async def serve(reader, writer):
        await reader.read(10)
        writer.write(said)
        await writer.drain()
        writer.close()

    async def main():
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            board = RedisBoard(f"redis://127.0.0.1:{port}")
            with pytest.raises(BoardAway, match=words):
                await board.find("c", ())
            board.close()

    asyncio.run(main())


def test_a_server_that_says_nothing_is_away_after_a_while(monkeypatch):
    monkeypatch.setattr(redis_wire, "ANSWER_S", 0.05)

    async def main():
        over = asyncio.Event()

        async def serve(reader, writer):
            await over.wait()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            redis = Redis(Place.parse(f"redis://127.0.0.1:{port}"))
            with pytest.raises(BoardAway, match="no answer in time"):
                await redis.ask("PING")
            over.set()
            redis.close()

    asyncio.run(main())


def test_a_password_and_a_database_are_given(place):
    place.redis_cli("ACL", "SETUSER", "gate", "on", ">secret", "~*", "+@all")
    url = place.redis_url.replace("unix://", "unix://gate:secret@") + "?db=2"

    async def main(url):
        redis = Redis(Place.parse(url))
        try:
            return await redis.ask("ACL", "WHOAMI"), await redis.ask("CLIENT", "INFO")
        finally:
            redis.close()

    who, info = asyncio.run(main(url))
    assert who == "gate"
    assert " db=2 " in info
    with pytest.raises(BoardAway, match="WRONGPASS") as refused:
        asyncio.run(main(url.replace("secret", "wrong-secret")))
    assert "wrong-secret" not in str(refused.value)


def test_an_entry_that_is_sent_twice_is_taken_once(place):
    """As when the connection was lost before the answer came."""

    async def main():
        board = RedisBoard(place.redis_url)
        await board.post("c", "r" * 32, "{}", alone=False, life_ms=5_000)
        first = await board.write("c", "r" * 32, "one", 0)
        board._count -= 1
        again = await board.write("c", "r" * 32, "one", 0)
        second = await board.write("c", "r" * 32, "two", 0)
        taken = await board.take("c", "r" * 32)
        board.close()
        return first.index, again.index, second.index, taken

    *places, taken = asyncio.run(main())
    assert places == [0, 0, 1]
    assert [entry.partition(" ")[2] for entry in taken.entries] == ["one", "two"]


def test_scripts_that_redis_forgot_are_sent_again(place):
    place.redis_cli("SCRIPT", "FLUSH")

    async def main():
        board = RedisBoard(place.redis_url)
        found = await board.find("nobody", ["a"])
        board.close()
        return found

    assert asyncio.run(main()).open == []


@pytest.mark.parametrize(("limit", "value"), [("MOST_ENTRIES", 2), ("MOST_BYTES", 7)])
def test_a_log_that_is_full_takes_no_more_and_says_so(place, monkeypatch, limit, value):
    monkeypatch.setattr(f"replays_app.standing.board.{limit}", value)

    async def main():
        board = RedisBoard(place.redis_url)
        await board.post("c", "f" * 32, "{}", alone=False, life_ms=5_000)
        written = [await board.write("c", "f" * 32, "one", 0) for _ in range(3)]
        taken = await board.take("c", "f" * 32)
        board.close()
        return written, taken

    written, taken = asyncio.run(main())
    assert [w is None for w in written] == [False, False, True]
    assert (len(taken.entries), taken.is_full) == (2, True)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?ssl_ca_certs={ca}", ""),
        ("?ssl_cert_reqs=none", ""),
        ("", "certificate verify failed"),
        ("?ssl_ca_certs=/none.pem", "No such file"),
    ],
)
def test_a_redis_behind_tls_is_trusted_as_its_address_says(place, tmp_path, query, words):
    authority = CertificateAuthority({}, kept=tmp_path / "ca")
    key = tmp_path / "leaf.pem"
    key.write_bytes(authority.leaf_pem("127.0.0.1"))
    port = free_port()
    place.spawn(
        [
            *(find_server(), "--port", "0", "--tls-port", str(port), "--save", ""),
            *("--tls-cert-file", str(key), "--tls-key-file", str(key)),
            *("--tls-auth-clients", "no", "--tls-ca-cert-file", str(authority.cert_file)),
        ]
    )
    eventually(lambda: accepts(port), what="Redis")
    url = f"rediss://127.0.0.1:{port}/0{query.format(ca=authority.cert_file)}"

    async def main():
        redis = Redis(Place.parse(url))
        try:
            return await redis.ask("PING")
        finally:
            redis.close()

    if words:
        with pytest.raises(BoardAway, match=words):
            asyncio.run(main())
    else:
        assert asyncio.run(main()) == "PONG"
    authority.close()
