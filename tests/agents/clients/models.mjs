// The SDKs of OpenAI and of Anthropic for Node, as models.py.
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const [port, api, how] = process.argv.slice(2);
const ARGUMENTS = { search: "q", quote: "symbol", news: "topic" };
const tools = Object.entries(ARGUMENTS).map(([name, argument]) => ({
  name,
  schema: { type: "object", properties: { [argument]: { type: "string" } }, required: [argument], additionalProperties: false },
}));

function run(name, args) {
  if (process.env.FUNCTIONS_RAN) appendFileSync(process.env.FUNCTIONS_RAN, `${name}\n`);
  return `really ${name} ${JSON.stringify(args)}`;
}

async function chat() {
  const client = new OpenAI();
  const messages = [{ role: "user", content: "go" }];
  const functions = tools.map(({ name, schema }) => ({ type: "function", function: { name, parameters: schema, strict: true } }));
  for (;;) {
    const question = { model: "m", messages, tools: functions };
    const answer = how === "stream"
      ? await client.chat.completions.stream(question).finalChatCompletion()
      : await client.chat.completions.create(question);
    const { content, tool_calls: calls } = answer.choices[0].message;
    if (!calls?.length) return content;
    messages.push({ role: "assistant", content, tool_calls: calls.map(({ id, type, function: { name, arguments: args } }) => ({ id, type, function: { name, arguments: args } })) });
    for (const call of calls) {
      messages.push({ role: "tool", tool_call_id: call.id, content: run(call.function.name, JSON.parse(call.function.arguments)) });
    }
  }
}

async function responses() {
  const client = new OpenAI();
  const input = [{ role: "user", content: "go" }];
  const functions = tools.map(({ name, schema }) => ({ type: "function", name, parameters: schema, strict: true }));
  for (;;) {
    const question = { model: "m", input, tools: functions };
    const answer = how === "stream"
      ? await client.responses.stream(question).finalResponse()
      : await client.responses.create(question);
    const calls = answer.output.filter((item) => item.type === "function_call");
    if (!calls.length) return answer.output_text;
    input.push(...answer.output.map(({ parsed_arguments, ...item }) => item));
    for (const call of calls) {
      input.push({ type: "function_call_output", call_id: call.call_id, output: run(call.name, JSON.parse(call.arguments)) });
    }
  }
}

async function messages() {
  const client = new Anthropic();
  const turns = [{ role: "user", content: "go" }];
  for (;;) {
    const question = { model: "m", max_tokens: 100, messages: turns, tools: tools.map(({ name, schema }) => ({ name, input_schema: schema })) };
    const answer = how === "stream"
      ? await client.messages.stream(question).finalMessage()
      : await client.messages.create(question);
    const calls = answer.content.filter((block) => block.type === "tool_use");
    if (!calls.length) return answer.content.map((block) => block.text).join("");
    turns.push({ role: "assistant", content: answer.content });
    turns.push({ role: "user", content: calls.map((call) => ({ type: "tool_result", tool_use_id: call.id, content: run(call.name, call.input) })) });
  }
}

createServer((request, response) => {
  request.resume();
  ({ chat, responses, messages })[api]().catch((error) => `${error.constructor.name}: ${error.message}`).then((output) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ output }));
  });
}).listen(Number(port), "127.0.0.1");
