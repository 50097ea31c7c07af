// LangChain: calls joined from the chunks of a stream, the way back, and structured answers by a schema and by a tool.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.SLUICE_NODE_MODULES, "here.cjs"));
const { ChatOpenAI } = require("@langchain/openai");
const { HumanMessage, ToolMessage } = require("@langchain/core/messages");
const { tool } = require("@langchain/core/tools");
const { z } = require("zod");

const model = new ChatOpenAI({
  model: process.env.SLUICE_MODEL,
  apiKey: process.env.OPENAI_API_KEY,
  configuration: { baseURL: process.env.OPENAI_BASE_URL },
  temperature: 0,
  maxTokens: 100,
  maxRetries: 0,
});
const question = new HumanMessage(process.argv[2]);
const weather = tool(({ location }) => `18 degrees and sunny`, {
  name: "get_weather",
  description: "Get current weather for a location",
  schema: z.object({ location: z.string().describe("City name") }),
});
const bound = model.bindTools([weather]);

// Chunks are added up: ids and names that were repeated would be joined.
let whole;
let fragments = 0;
for await (const chunk of await bound.stream([question])) {
  whole = whole ? whole.concat(chunk) : chunk;
  fragments += chunk.tool_call_chunks?.length ?? 0;
}
assert.ok(fragments > 1, `${fragments}`);
assert.equal(whole.tool_calls.length, 1);
const [call] = whole.tool_calls;
assert.equal(call.name, "get_weather");
assert.ok(call.args.location);
assert.equal(whole.invalid_tool_calls.length, 0);
assert.equal(whole.response_metadata.finish_reason, "tool_calls");
assert.ok(whole.usage_metadata.output_tokens > 0);

// Its own message goes back with the result.
const result = await weather.invoke(call);
assert.ok(result instanceof ToolMessage);
const followed = await bound.invoke([question, whole, result]);
assert.ok(followed.content.length > 0);
assert.equal(followed.tool_calls.length, 0);

const asked = await bound.invoke([question]);
assert.deepEqual(asked.tool_calls.map((made) => made.name), ["get_weather"]);

const schema = z.object({ colour: z.enum(["red", "green"]), dark: z.boolean() });
for (const [method, prompt] of [["jsonSchema", "Choose a colour."], ["functionCalling", "Choose a colour by the tool."]]) {
  const structured = await model.withStructuredOutput(schema, { name: "colour", method }).invoke(prompt);
  assert.ok(schema.safeParse(structured).success, `${method}: ${JSON.stringify(structured)}`);
}
console.log("ok");
