// The official SDK of Node, version 1 or 2 (whichever FLAKESTORM_TEST_SDK names); as served.py.
import { createServer } from "node:http";

const [port, transport] = process.argv.slice(2);
const url = process.env.TOOLS_URL || process.env.FLAKESTORM_MCP_URL;
const command = JSON.parse(process.env.TOOLS_COMMAND || "[]");
const { Client, StreamableHTTPClientTransport, StdioClientTransport } = await sdk();

async function sdk() {
  if (process.env.FLAKESTORM_TEST_SDK === "2") {
    return { ...(await import("@modelcontextprotocol/client")), ...(await import("@modelcontextprotocol/client/stdio")) };
  }
  return {
    ...(await import("@modelcontextprotocol/sdk/client/index.js")),
    ...(await import("@modelcontextprotocol/sdk/client/streamableHttp.js")),
    ...(await import("@modelcontextprotocol/sdk/client/stdio.js")),
  };
}

async function answer() {
  const client = new Client({ name: "test", version: "1" });
  const way = transport === "stdio"
    ? new StdioClientTransport({ command: command[0], args: command.slice(1) })
    : new StreamableHTTPClientTransport(new URL(url));
  await client.connect(way);
  try {
    await client.listTools();
    const call = async (name, args) => {
      const result = await client.callTool({ name, arguments: args });
      const said = result.content.map((block) => block.text).join("");
      return result.isError ? `failed: ${said}` : said;
    };
    const said = [await call("search", { q: "one" }), await call("search", { q: "two" })];
    said.push(...await Promise.all([call("quote", { symbol: "ACME" }), call("news", { topic: "ACME" })]));
    return said.join(" | ");
  } finally {
    await client.close();
  }
}

createServer((request, response) => {
  request.resume();
  answer().catch((error) => `${error.name}: ${error.message}`).then((output) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ output }));
  });
}).listen(Number(port), "127.0.0.1");
