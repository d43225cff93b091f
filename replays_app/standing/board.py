"""The board in Redis. Each step is one script, and so one step for everybody.

Of a channel, all under `flakestorm:gateway:{<channel>}:`

    runs         sorted set: the runs that are posted, by when they vanish (milliseconds)
    alone        there while an attempt wants no other beside it
    run:<run>    hash: packet; began (milliseconds); n, bytes: of its log; full
    log:<run>    list: the log
    ids:<run>    hash: the place of each entry by its id: one that is sent twice is taken once
    over:<run>   there for a while after an attempt ended

Everything vanishes by itself. What Redis loses is noticed: a run without its hash, or whose log is
not as long as the hash says, has no end that could be taken.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

from replays_app.engine.gateway.board import (
    MOST_BYTES,
    MOST_ENTRIES,
    BoardAway,
    Found,
    Taken,
    Written,
)
from replays_app.standing.redis_wire import Place, Redis, RedisError

OVER_MS = 600_000  # how long a run that ended is remembered
PAUSES_S = (0.02, 0.1, 0.4, 1.0, 2.0)  # between tries while Redis is away

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
"""


class Script:
    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


# KEYS runs, alone, run; ARGV run, packet, life, 1 for alone
_POST = Script(
    _NOW
    + """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
if #last > 0 and (ARGV[4] == '1' or redis.call('EXISTS', KEYS[2]) == 1) then
  if last[1] == ARGV[1] then return '0' end
  return string.format('%.0f', math.max(1, last[2] - now))
end
local life = tonumber(ARGV[3])
redis.call('ZADD', KEYS[1], string.format('%.0f', now + life), ARGV[1])
redis.call('PEXPIRE', KEYS[1], math.max(life, redis.call('PTTL', KEYS[1])))
if ARGV[4] == '1' then redis.call('SET', KEYS[2], ARGV[1], 'PX', life) end
redis.call('HSET', KEYS[3], 'packet', ARGV[2], 'began', string.format('%.3f', now),
  'n', 0, 'bytes', 0)
redis.call('PEXPIRE', KEYS[3], life)
return '0'
"""
)

# KEYS runs, over of each name; ARGV the names
_FIND = Script(
    _NOW
    + """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local over = 0
for i, name in ipairs(ARGV) do
  if redis.call('ZSCORE', KEYS[1], name) then
    return {name, 0, {}}
  end
  over = over + redis.call('EXISTS', KEYS[i + 1])
end
return {'', over, redis.call('ZRANGE', KEYS[1], 0, -1)}
"""
)

# KEYS run, log, ids; ARGV id, event, seen, most entries, most bytes
_WRITE = Script(
    _NOW
    + """
local run = redis.call('HMGET', KEYS[1], 'began', 'n', 'bytes')
if not run[1] then return false end
local n = tonumber(run[2])
if redis.call('LLEN', KEYS[2]) ~= n then return false end
local place = redis.call('HGET', KEYS[3], ARGV[1])
if not place then
  if n >= tonumber(ARGV[4]) or run[3] + #ARGV[2] > tonumber(ARGV[5]) then
    redis.call('HSET', KEYS[1], 'full', 1)
    return false
  end
  place = n
  redis.call('RPUSH', KEYS[2], string.format('%.3f ', now - run[1]) .. ARGV[2])
  redis.call('HSET', KEYS[3], ARGV[1], n)
  redis.call('HINCRBY', KEYS[1], 'n', 1)
  redis.call('HINCRBY', KEYS[1], 'bytes', #ARGV[2])
  if n == 0 then
    local left = redis.call('PTTL', KEYS[1])
    redis.call('PEXPIRE', KEYS[2], left)
    redis.call('PEXPIRE', KEYS[3], left)
  end
end
return {tonumber(place), redis.call('LRANGE', KEYS[2], ARGV[3], -1)}
"""
)

# KEYS runs, alone, run, log, ids, over; ARGV run, how long it is remembered
_TAKE = Script(
    """
local run = redis.call('HMGET', KEYS[3], 'n', 'full')
local log = redis.call('LRANGE', KEYS[4], 0, -1)
redis.call('ZREM', KEYS[1], ARGV[1])
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
redis.call('DEL', KEYS[3], KEYS[4], KEYS[5])
redis.call('SET', KEYS[6], 1, 'PX', ARGV[2])
if not run[1] or #log ~= tonumber(run[1]) then return false end
return {run[2] and 1 or 0, log}
"""
)


class RedisBoard:
    """engine.gateway.board.Board; bound to the running loop."""

    def __init__(self, url: str) -> None:
        """Raises ValueError for a URL that is none."""
        self.place = Place.parse(url)
        self._redis = Redis(self.place)
        self._self = secrets.token_hex(6)
        self._count = 0

    async def post(
        self, channel: str, run: str, packet: str, *, alone: bool, life_ms: int
    ) -> float:
        keys = _keys(channel, run, "runs", "alone", "run")
        return float(await self._run(_POST, keys, run, packet, life_ms, int(alone)))

    async def find(self, channel: str, named: Sequence[str]) -> Found:
        over = [_key(channel, f"over:{name}") for name in named]
        name, is_over, open_runs = await self._run(_FIND, [_key(channel, "runs"), *over], *named)
        return Found(name or None, bool(is_over), open_runs)

    async def packet(self, channel: str, run: str) -> str | None:
        text: str | None = await self._patiently("HGET", _key(channel, f"run:{run}"), "packet")
        return text

    async def write(self, channel: str, run: str, event: str, seen: int) -> Written | None:
        self._count += 1
        keys = _keys(channel, run, "run", "log", "ids")
        entry = f"{self._self}-{self._count}"
        written = await self._run(_WRITE, keys, entry, event, seen, MOST_ENTRIES, MOST_BYTES)
        return None if written is None else Written(written[0], seen, written[1])

    async def read(self, channel: str, run: str) -> Sequence[str]:
        entries: list[str] = await self._patiently("LRANGE", _key(channel, f"log:{run}"), 0, -1)
        return entries

    async def take(self, channel: str, run: str) -> Taken | None:
        keys = _keys(channel, run, "runs", "alone", "run", "log", "ids", "over")
        taken = await self._run(_TAKE, keys, run, OVER_MS)
        return None if taken is None else Taken(taken[1], bool(taken[0]))

    async def check(self) -> None:
        try:
            await self._redis.ask("PING")
        except RedisError as error:
            raise BoardAway(f"Redis at {self.place} refused: {error}") from error

    def close(self) -> None:
        self._redis.close()

    async def _run(self, script: Script, keys: Sequence[str], *args: str | float) -> Any:
        return await self._patiently("EVALSHA", script.sha, len(keys), *keys, *args, script=script)

    async def _patiently(self, *words: str | float, script: Script | None = None) -> Any:
        """Every command here may be sent again; a second `take` finds nothing, which is the safe
        side. Raises BoardAway."""
        for pause in (*PAUSES_S, None):
            try:
                return await self._once(words, script)
            except BoardAway:
                if pause is None:
                    raise
                await asyncio.sleep(pause)
            except RedisError as error:
                # One that loads its data, or may not write, is away for now; others are for ever.
                if pause is None or not str(error).startswith(("LOADING", "READONLY", "BUSY")):
                    raise BoardAway(f"Redis at {self.place} refused: {error}") from error
                await asyncio.sleep(pause)
        raise AssertionError("the last try raises or returns")

    async def _once(self, words: tuple[str | float, ...], script: Script | None) -> Any:
        try:
            return await self._redis.ask(*words)
        except RedisError as error:
            if script is None or not str(error).startswith("NOSCRIPT"):
                raise
        return await self._redis.ask("EVAL", script.text, *words[2:])


def _key(channel: str, name: str) -> str:
    return f"flakestorm:gateway:{{{channel}}}:{name}"


def _keys(channel: str, run: str, *names: str) -> list[str]:
    """`runs` and `alone` are the channel's, the others the run's."""
    return [_key(channel, name if name in ("runs", "alone") else f"{name}:{run}") for name in names]
