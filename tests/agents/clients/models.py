"""The SDKs of OpenAI and of Anthropic, in the loop of an agent with three local functions.

python models.py PORT chat|responses|messages whole|stream

`whole` is the blocking client, `stream` the asynchronous one. The functions really run, and write
to the file FUNCTIONS_RAN. The address and the key of the model are the SDKs' own business.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from anthropic import Anthropic, AsyncAnthropic
from openai import AsyncOpenAI, OpenAI
from served import serve

API, HOW = sys.argv[2], sys.argv[3]
ARGUMENTS = {"search": "q", "quote": "symbol", "news": "topic"}


def schema(name: str) -> dict:
    properties = {ARGUMENTS[name]: {"type": "string"}}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def run(name: str, args: dict) -> str:
    with Path(os.environ.get("FUNCTIONS_RAN", os.devnull)).open("a") as ran:
        ran.write(f"{name}\n")
    return f"really {name} {args}"


class Chat:
    tools = [
        {
            "type": "function",
            "function": {"name": name, "parameters": schema(name), "strict": True},
        }
        for name in ARGUMENTS
    ]

    def __init__(self) -> None:
        self.turns = [{"role": "user", "content": "go"}]
        self.question = {"model": "m", "messages": self.turns, "tools": self.tools}

    def whole(self):
        return OpenAI().chat.completions.create(**self.question)

    async def stream(self):
        async with AsyncOpenAI().chat.completions.stream(**self.question) as stream:
            async for _ in stream:
                pass
            return await stream.get_final_completion()

    def take(self, answer) -> str | None:
        message = answer.choices[0].message
        if not message.tool_calls:
            return message.content
        calls = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.function.name, "arguments": call.function.arguments},
            }
            for call in message.tool_calls
        ]
        self.turns.append({"role": "assistant", "content": message.content, "tool_calls": calls})
        for call in message.tool_calls:
            said = run(call.function.name, json.loads(call.function.arguments))
            self.turns.append({"role": "tool", "tool_call_id": call.id, "content": said})
        return None


class Responses:
    tools = [
        {"type": "function", "name": name, "parameters": schema(name), "strict": True}
        for name in ARGUMENTS
    ]

    def __init__(self) -> None:
        self.turns = [{"role": "user", "content": "go"}]
        self.question = {"model": "m", "input": self.turns, "tools": self.tools}

    def whole(self):
        return OpenAI().responses.create(**self.question)

    async def stream(self):
        async with AsyncOpenAI().responses.stream(**self.question) as stream:
            async for _ in stream:
                pass
            return await stream.get_final_response()

    def take(self, answer) -> str | None:
        calls = [item for item in answer.output if item.type == "function_call"]
        if not calls:
            return answer.output_text
        for item in answer.output:
            kept = item.model_dump(exclude_none=True)
            kept.pop("parsed_arguments", None)
            self.turns.append(kept)
        for call in calls:
            said = run(call.name, json.loads(call.arguments))
            output = {"type": "function_call_output", "call_id": call.call_id, "output": said}
            self.turns.append(output)
        return None


class Messages:
    tools = [{"name": name, "input_schema": schema(name)} for name in ARGUMENTS]

    def __init__(self) -> None:
        self.turns = [{"role": "user", "content": "go"}]
        self.question = {
            "model": "m",
            "max_tokens": 100,
            "messages": self.turns,
            "tools": self.tools,
        }

    def whole(self):
        return Anthropic().messages.create(**self.question)

    async def stream(self):
        async with AsyncAnthropic().messages.stream(**self.question) as stream:
            async for _ in stream:
                pass
            return await stream.get_final_message()

    def take(self, answer) -> str | None:
        calls = [block for block in answer.content if block.type == "tool_use"]
        if not calls:
            return "".join(block.text for block in answer.content)
        content = [block.model_dump(exclude_none=True) for block in answer.content]
        self.turns.append({"role": "assistant", "content": content})
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": run(call.name, call.input)}
            for call in calls
        ]
        self.turns.append({"role": "user", "content": results})
        return None


async def answer() -> str:
    talk = {"chat": Chat, "responses": Responses, "messages": Messages}[API]()
    while True:
        said = await (talk.stream() if HOW == "stream" else asyncio.to_thread(talk.whole))
        if (end := talk.take(said)) is not None:
            return end


if __name__ == "__main__":
    serve(answer)
