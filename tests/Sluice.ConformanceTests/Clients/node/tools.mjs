// Tool calls as the SDK reads them: its accumulator with a strict tool, its runner, and the SDK of another vendor.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { OpenAI, providers } from "./sdk.mjs";

const require = createRequire(join(process.env.SLUICE_NODE_MODULES, "here.cjs"));
const model = process.env.SLUICE_MODEL;
const client = new OpenAI({ maxRetries: 0 });
const question = process.argv[2];
const parameters = {
  type: "object",
  properties: { location: { type: "string", description: "City name" } },
  required: ["location"],
  additionalProperties: false,
};
const definition = { name: "get_weather", description: "Get current weather for a location", parameters };
const request = { model, messages: [{ role: "user", content: question }], temperature: 0, max_tokens: 100 };

// F-08: throws "changed tool call identity" where a fragment repeats or nulls what the first one said.
const tools = [{ type: "function", function: { ...definition, strict: true } }];
const done = [];
const runner = client.chat.completions
  .stream({ ...request, tools, tool_choice: "required", parallel_tool_calls: false })
  .on("tool_calls.function.arguments.done", (call) => done.push(call));
const answer = await runner.finalChatCompletion();
const [call] = answer.choices[0].message.tool_calls;
assert.equal(answer.choices[0].finish_reason, "tool_calls");
assert.equal(done.length, 1);
assert.equal(call.function.name, "get_weather");
assert.ok(JSON.parse(call.function.arguments).location);

// The runner calls the function and asks again with its result.
for (const stream of [false, true]) {
  const asked = [];
  const run = client.chat.completions.runTools({
    ...request,
    stream,
    tools: [
      {
        type: "function",
        function: {
          ...definition,
          parse: JSON.parse,
          function: ({ location }) => {
            asked.push(location);
            return "18 degrees and sunny";
          },
        },
      },
    ],
  });
  const content = await run.finalContent();
  assert.equal(asked.length, 1, JSON.stringify(run.messages));
  assert.ok(content.length > 0);
}

// The SDK of another vendor, with both of its clients.
const { streamText, tool, jsonSchema, stepCountIs } = require("ai");
for (const provider of providers()) {
  const executed = [];
  const result = streamText({
    model: provider(model),
    prompt: question,
    temperature: 0,
    maxOutputTokens: 100,
    maxRetries: 0,
    stopWhen: stepCountIs(2),
    tools: {
      get_weather: tool({
        description: definition.description,
        inputSchema: jsonSchema(parameters),
        execute: async ({ location }) => {
          executed.push(location);
          return "18 degrees and sunny";
        },
      }),
    },
  });
  const parts = [];
  for await (const part of result.fullStream) parts.push(part);
  assert.ok(!parts.some((part) => part.type === "error"), JSON.stringify(parts));
  assert.equal(executed.length, 1);
  assert.ok(parts.some((part) => part.type === "tool-input-delta"));
  assert.ok((await result.text).length > 0);
}
console.log("ok");
