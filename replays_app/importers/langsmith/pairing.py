"""Which call of a model each tool run answers, and what the model was told of it later."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import islice

from replays_app.engine.values import Json
from replays_app.importers.langsmith.asking import Asked, Told, read_args
from replays_app.importers.langsmith.inputs import output_messages
from replays_app.importers.langsmith.messages import Message, read_messages, results_in
from replays_app.importers.langsmith.tree import Run, Tree

Args = dict[str, Json] | None
MAX_TRIED = 100  # calls of one name, or results of one id, that are looked at for one run


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One call that a model asked for. `number` counts all of the trace, in the model's order."""

    number: int
    call: Asked
    llm: Run
    turn: int  # which of the models' runs it is
    first: int  # the number of the first call of the same answer
    scope: str | None  # the tool run that the model run is inside


@dataclass(frozen=True, slots=True)
class Heard:
    """A result of a call, in the conversation that a model run was given."""

    turn: int
    nth: int  # of this call's results in that conversation
    told: Told
    at: datetime | None  # when that model run began
    scope: str | None  # the tool run that it is inside; "": what the root left, of any scope


Free = dict[int, Ask]  # calls that no run answers yet, by number
Fits = Callable[[Args, Args], bool]  # what was asked for, what the run got


@dataclass(kw_only=True)
class Pairing:
    asks: tuple[Ask, ...]
    of_run: dict[str, Ask]  # by the run's id
    heard: dict[str, list[Heard]]  # by the call's id (or name, in the old form without ids)
    before: dict[tuple[int, str], int] = field(default_factory=dict)

    def told(self, ask: Ask) -> Heard | None:
        """What the model was told of this call: the first conversation after it that holds more
        results of its id than the model had seen when it asked. An earlier turn's result of the
        same id, in the history, is none."""
        key = ask.call.id or ask.call.name
        known = self.before.get((ask.turn, key), 0)
        heard = self.heard.get(key, [])
        start = bisect_right(heard, ask.turn, key=lambda each: each.turn)
        for each in islice(heard, start, start + MAX_TRIED):
            if each.nth > known and each.scope in (ask.scope, ""):
                return each
        return None

    @cached_property
    def by_name(self) -> dict[str, deque[Ask]]:
        named: dict[str, deque[Ask]] = defaultdict(deque)
        for ask in self.asks:
            named[ask.call.name].append(ask)
        return named

    def unanswered(self) -> Iterator[Ask]:
        """Those that no run answers."""
        taken = {ask.number for ask in self.of_run.values()}
        return (ask for ask in self.asks if ask.number not in taken)


def pair(tree: Tree) -> Pairing:
    asks = tuple(_asks(tree))
    pairing = Pairing(asks=asks, of_run={}, heard={})
    _listen(tree, pairing)
    _match(tree, pairing)
    return pairing


def _asks(tree: Tree) -> Iterator[Ask]:
    number = 0
    for turn, llm in enumerate(tree.models):
        calls = [call for each in output_messages(llm.outputs) or [] for call in each.asked]
        if any(map(is_merged, calls)):
            calls = _said_again(tree, turn, calls)
        first, scope = number, scope_of(tree, llm)
        for number, call in enumerate(calls, first):
            yield Ask(number=number, call=call, llm=llm, turn=turn, first=first, scope=scope)
        number = first + len(calls)


def is_merged(call: Asked) -> bool:
    """Early versions of langsmith joined the parallel calls of a stream to one, with the names and
    the arguments of all of them."""
    text = (call.args or {}).get("input")
    return isinstance(text, str) and text.startswith("{") and "}{" in text


def _said_again(tree: Tree, turn: int, calls: list[Asked]) -> list[Asked]:
    """As the next model was told of these calls, which the agent had from the stream itself."""
    ids = {call.id for call in calls if call.id}
    for llm in tree.models[turn + 1 : turn + 2]:
        for message in reversed(conversation(llm)):
            if ids & {call.id for call in message.asked}:
                return list(message.asked)
    return calls


def scope_of(tree: Tree, run: Run) -> str | None:
    caller = tree.caller(run)
    return caller.id if caller else None


def _listen(tree: Tree, pairing: Pairing) -> None:
    """Every conversation: what each model run was given, and at last what the root left."""
    talks = [(llm.start, conversation(llm), scope_of(tree, llm)) for llm in tree.models]
    talks.append((tree.root.end, output_messages(tree.root.outputs) or [], ""))
    heard: dict[str, list[Heard]] = defaultdict(list)
    for turn, (at, messages, scope) in enumerate(talks):
        counts: dict[str, int] = defaultdict(int)
        for told in results_in(messages):
            key = told.id or told.name or ""
            counts[key] += 1
            heard[key].append(Heard(turn, counts[key], told, at, scope))
        for key, count in counts.items():
            pairing.before[turn, key] = count
    pairing.heard = heard


def conversation(llm: Run) -> list[Message]:
    inputs = llm.inputs
    if not isinstance(inputs, dict):
        return read_messages(inputs) or []
    if "role" in inputs:
        return read_messages(inputs) or []
    for key in ("messages", "input", "contents"):
        if messages := read_messages(inputs.get(key)):
            return messages
    return []


def _match(tree: Tree, pairing: Pairing) -> None:
    """By the call's id; else by name and arguments, then by arguments that the run holds among
    others (bound defaults), then by name alone, then by arguments alone (the function has another
    name than the tool); each call once, and never before it was asked."""
    free: Free = {ask.number: ask for ask in pairing.asks}
    left: list[Run] = []
    by_id: dict[str, list[Ask]] = defaultdict(list)
    for ask in pairing.asks:
        if ask.call.id:
            by_id[ask.call.id].append(ask)
    for run in tree.calls:
        mine = _last_before(by_id.get(call_id_of(run) or "", []), run)
        if mine is not None:
            pairing.of_run[run.id] = mine
            free.pop(mine.number, None)
        elif call_id_of(run) is None:
            left.append(run)
    for fits in (_same_args, among_args, _any_args):
        left = [run for run in left if not _take(tree, pairing, free, run, fits)]
    for run in left:
        if run.type == "tool":
            others = islice(free.values(), MAX_TRIED)
            _choose(tree, pairing, free, run, list(others), _telling_args)


def _take(tree: Tree, pairing: Pairing, free: Free, run: Run, fits: Fits) -> bool:
    named = pairing.by_name.get(run.name, deque())
    while named and named[0].number not in free:
        named.popleft()
    still = [ask for ask in islice(named, MAX_TRIED) if ask.number in free]
    return _choose(tree, pairing, free, run, still, fits)


def _choose(
    tree: Tree, pairing: Pairing, free: Free, run: Run, asks: list[Ask], fits: Fits
) -> bool:
    args, scope = run_args(run), scope_of(tree, run)
    for ask in asks:
        if ask.scope == scope and _came_before(ask, run) and fits(ask.call.args, args):
            pairing.of_run[run.id] = ask
            del free[ask.number]
            return True
    return False


def call_id_of(run: Run) -> str | None:
    """As LangChain writes it; other tracers put it into the metadata."""
    for place in (run.extra, run.metadata):
        for key in ("tool_call_id", "toolCallId", "call_id"):
            if isinstance(place.get(key), str) and place[key]:
                return str(place[key])
    return None


def _last_before(asks: list[Ask], run: Run) -> Ask | None:
    """Of several that share an id; they are in the order of time."""
    start = run.start
    if start is None:
        return asks[-1] if asks else None
    count = bisect_right(asks, start, key=lambda ask: ask.llm.start or start)
    return asks[count - 1] if count else None


def _came_before(ask: Ask, run: Run) -> bool:
    return ask.llm.start is None or run.start is None or ask.llm.start <= run.start


def _same_args(asked: Args, got: Args) -> bool:
    return asked == got


def among_args(asked: Args, got: Args) -> bool:
    """The run holds more: the defaults of the function."""
    if asked is None or got is None:
        return False
    return all(key in got and got[key] == value for key, value in asked.items())


def _any_args(asked: Args, got: Args) -> bool:
    return True


def _telling_args(asked: Args, got: Args) -> bool:
    return bool(asked) and among_args(asked, got)


def run_args(run: Run) -> Args:
    """`{"input": "{'city': 'Paris'}"}` of langchain-core before 1.3.3, or the arguments."""
    inputs = run.inputs
    match inputs:
        case {"input": str(text)} if len(inputs) == 1:
            return _of_call(read_args(text))
        case {"input": dict(inner)} if len(inputs) == 1 and "tool_call_id" in run.metadata:
            return inner  # the Claude Agent SDK, which alone puts the call's id there
        case dict():
            return _of_call(inputs)
    return read_args(inputs)


def _of_call(args: Args) -> Args:
    """Some write the whole call of the model: its args are the arguments."""
    match args:
        case {"type": "tool_call", "name": str(), "args": dict(inner)}:
            return inner
    return args
