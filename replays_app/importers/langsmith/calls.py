"""The calls of an agent in order: tool and retriever runs, and those that only messages show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

from replays_app.engine.values import Json
from replays_app.importers.langsmith.asking import read_args
from replays_app.importers.langsmith.inputs import structured_answer
from replays_app.importers.langsmith.pairing import (
    MAX_TRIED,
    Ask,
    Heard,
    Pairing,
    among_args,
    call_id_of,
    pair,
    run_args,
)
from replays_app.importers.langsmith.responses import (
    Response,
    error_line,
    is_waiting,
    parsed_of,
    read_response,
    text_of_failure,
)
from replays_app.importers.langsmith.tree import Run, Tree
from replays_app.importers.trace import Status, ToolCall

MAX_NESTING = 20  # calls inside calls; deeper ones are put beside the last
_NEVER = datetime.min.replace(tzinfo=UTC)
_LAST = 1 << 30  # a call that no model asked for, begun at the same time as one that it did


@dataclass(frozen=True, kw_only=True)
class _Placed:
    call: ToolCall
    owner: str | None  # id of the run that made it; None: the agent
    run: str | None  # its own
    when: tuple[datetime, int, str]


@dataclass(frozen=True, kw_only=True)
class Calls:
    tree: Tree

    @cached_property
    def pairing(self) -> Pairing:
        return pair(self.tree)

    def read(self) -> tuple[ToolCall, ...]:
        placed = [self._of_run(run) for run in self.tree.calls]
        placed += [each for ask in self.pairing.unanswered() if (each := self._of_ask(ask))]
        if not placed:
            return tuple(read_steps(self.tree.root.outputs))
        by_owner: dict[str | None, list[_Placed]] = defaultdict(list)
        for each in sorted(placed, key=lambda each: each.when):
            by_owner[each.owner].append(each)
        return _nested(by_owner, None)

    def lost(self) -> Iterator[str]:
        """Calls that were asked for, and of which nothing more is known."""
        for ask in self.pairing.unanswered():
            if self._of_ask(ask) is None and not self._is_internal(ask):
                yield f"the model asked for {ask.call.name[:80]}, and nothing shows that it ran"

    # One call

    def _of_run(self, run: Run) -> _Placed:
        ask = self.pairing.of_run.get(run.id)
        heard = self._heard(run, ask)
        status = self._status(run)
        call_id = call_id_of(run) or (ask.call.id if ask else None)
        if (refused := _unknown_tool(run)) is not None:
            args, latency = ask.call.args if ask else None, self._latency(run, heard)
            return self._placed(run, ask, replace(refused, args=args, latency_ms=latency))
        call = ToolCall(
            name=run.name or run.type,
            kind="retriever" if run.type == "retriever" else "tool",
            id=call_id,
            args=_args(run, ask),
            status=status,
            started_at=run.start,
            latency_ms=self._latency(run, heard),
        )
        if status == "success":
            call = _answered(call, _response(run, call_id, heard))
        else:
            call = replace(call, error=_error(run, status), seen=_seen(run, heard))
        return self._placed(run, ask, call)

    def _placed(self, run: Run, ask: Ask | None, call: ToolCall) -> _Placed:
        number = ask.number if ask else _LAST
        start = run.start or self.tree.root.start or _NEVER
        return _Placed(
            call=call, owner=self._owner(run), run=run.id, when=(start, number, run.order)
        )

    def _of_ask(self, ask: Ask) -> _Placed | None:
        """A call without a run, as a loop that nobody traced makes it, or of an unknown name."""
        root, heard = self.tree.root, self.pairing.told(ask)
        if self._is_internal(ask):
            return None
        call = ToolCall(name=ask.call.name, id=ask.call.id, args=ask.call.args)
        if heard is not None:
            call = _answered(call, _told(heard))
        elif root.error is not None and ask.turn == len(self.tree.models) - 1:
            call = replace(call, status="error", error=error_line(root.error))
        elif root.end is None and ask.turn == len(self.tree.models) - 1:
            call = replace(call, status="pending")
        else:
            return None
        when = (self._asked_at(ask), ask.number, ask.llm.order)
        return _Placed(call=call, owner=self._owner(ask.llm), run=None, when=when)

    def _is_internal(self, ask: Ask) -> bool:
        """No tool: the answer itself, as LangChain asks for it in a form; a hand-over to another
        agent in the OpenAI Agents SDK, which traces every tool."""
        answer = structured_answer(self.tree.root.outputs)
        is_handover = self.tree.is_openai_agents and ask.call.name.startswith("transfer_to_")
        return is_handover or (answer is not None and ask.call.args == answer)

    def _asked_at(self, ask: Ask) -> datetime:
        """Not before the call that the model named before it in the same answer."""
        llm = ask.llm
        times = [llm.end or llm.start or self.tree.root.start or _NEVER]
        before = range(max(ask.first, ask.number - MAX_TRIED), ask.number)
        times += [start for number in before if (start := self._starts.get(number))]
        return max(times)

    @cached_property
    def _starts(self) -> dict[int, datetime]:
        found: dict[int, datetime] = {}
        for id, ask in self.pairing.of_run.items():
            if (start := self.tree.by_id[id].start) is not None:
                found.setdefault(ask.number, start)
        return found

    def _heard(self, run: Run, ask: Ask | None) -> Heard | None:
        """Of several runs of one call (retries), the last is what the model was told of."""
        if ask is not None:
            last = self._last_runs[ask.number] == run.id
            return self.pairing.told(ask) if last else None
        heard = self.pairing.heard.get(call_id_of(run) or "", [])
        if not heard or heard[-1].at is None or run.start is None or heard[-1].at < run.start:
            return None
        return heard[-1]

    @cached_property
    def _last_runs(self) -> dict[int, str]:
        return {
            ask.number: run.id
            for run in self.tree.calls
            if (ask := self.pairing.of_run.get(run.id)) is not None
        }

    def _status(self, run: Run) -> Status:
        if is_waiting(run.error):
            return "pending"
        if run.error is not None:
            return "error"
        if run.end is None and not run.outputs:
            return "timeout" if self.tree.root.end is not None else "pending"
        return "success"

    def _latency(self, run: Run, heard: Heard | None) -> float | None:
        """Milliseconds. Of a call that never ended, until the model went on without it, or else
        the call that made it or the whole trace ended."""
        end = run.end
        if end is None and self._status(run) == "timeout":
            above = self.tree.caller(run)
            ends = [heard.at if heard else None, above.end if above else None, self.tree.root.end]
            end = next((each for each in ends if each is not None), None)
        if end is None or run.start is None:
            return None
        return max(0.0, (end - run.start).total_seconds() * 1000)

    def _owner(self, run: Run) -> str | None:
        """The call that made it. None: the agent; also where parents go round in circles, which
        only broken traces do: such calls are kept."""
        chain: dict[str, None] = {}
        above = self.tree.caller(run)
        while above is not None:
            if above.id == run.id or above.id in chain:
                return None
            chain[above.id] = None
            above = self.tree.caller(above)
        return list(chain)[max(0, len(chain) - MAX_NESTING)] if chain else None


def _nested(by_owner: dict[str | None, list[_Placed]], owner: str | None) -> tuple[ToolCall, ...]:
    return tuple(
        replace(each.call, children=_nested(by_owner, each.run) if each.run else ())
        for each in by_owner.get(owner, ())
    )


def _unknown_tool(run: Run) -> ToolCall | None:
    """AgentExecutor gives a tool that does not exist to a run of this name."""
    match run.name, run_args(run):
        case "invalid_tool", {"requested_tool_name": str(name)} if name:
            said = read_response(run, None).value
            return _answered(
                ToolCall(name=name, started_at=run.start),
                Response(value=said, failure=text_of_failure(said)),
            )
    return None


def read_steps(outputs: Json) -> Iterator[ToolCall]:
    """AgentExecutor's `intermediate_steps`, where no run shows the calls."""
    steps = outputs.get("intermediate_steps") if isinstance(outputs, Mapping) else None
    for step in steps if isinstance(steps, list) else []:
        match step:
            case [{"tool": str(name), "tool_input": args} as action, said] if name:
                id = action.get("tool_call_id")
                call = ToolCall(
                    name=name, args=read_args(args), id=id if isinstance(id, str) else None
                )
                yield _answered(call, Response(value=said))


def _args(run: Run, ask: Ask | None) -> dict[str, Json] | None:
    """What the tool was given. Where that is no mapping (a repr that is no literal), or was
    hidden, what the model asked for."""
    args = run_args(run)
    if ask is None or ask.call.args is None or ask.call.args == args:
        return args
    if args and call_id_of(run) and among_args(ask.call.args, args):
        return ask.call.args  # the rest was injected: LangGraph's state, for one
    is_text = run.inputs == args and isinstance(run.inputs, dict) and set(run.inputs) == {"input"}
    if run.inputs == ask.call.args or not args or is_text:
        return ask.call.args
    return args


def _response(run: Run, call_id: str | None, heard: Heard | None) -> Response:
    response = read_response(run, call_id)
    return _told(heard) if response.is_missing and heard is not None else response


def _told(heard: Heard) -> Response:
    told = heard.told
    failure = text_of_failure(told.content) if told.is_error else None
    return Response(value=told.content, artifact=told.artifact, failure=failure)


def _answered(call: ToolCall, response: Response) -> ToolCall:
    return replace(
        call,
        id=call.id or response.id,
        response=response.value,
        parsed=parsed_of(response.value),
        artifact=response.artifact,
        response_missing=response.is_missing,
        status="success" if response.failure is None else "error",
        error=response.failure,
    )


def _error(run: Run, status: Status) -> str | None:
    return error_line(run.error) if status == "error" and run.error else None


def _seen(run: Run, heard: Heard | None) -> Json:
    if run.outputs:
        return read_response(run, None).value
    return heard.told.content if heard else None
