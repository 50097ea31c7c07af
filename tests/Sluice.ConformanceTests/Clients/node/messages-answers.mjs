// An answer of Anthropic's with thinking, text and calls, read in each of the SDK's ways.
import assert from "node:assert/strict";
import { OpenAI } from "./sdk.mjs";

const model = process.env.SLUICE_MODEL;
const client = new OpenAI({ maxRetries: 0 });
const parameters = { type: "object", properties: { city: { type: "string" } } };
const request = {
  model,
  messages: [{ role: "user", content: "Weather in Paris?" }],
  tools: [{ type: "function", function: { name: "get_weather", parameters } }],
};

function check(answer) {
  const [{ message, finish_reason }] = answer.choices;
  assert.equal(message.role, "assistant");
  assert.equal(message.content, "Let me see.");
  assert.equal(finish_reason, "tool_calls");
  const calls = message.tool_calls.map((call) => [call.id, call.type, call.function.name, call.function.arguments]);
  assert.deepEqual(calls, [
    ["toolu_1", "function", "get_weather", '{"city": "Paris"}'],
    ["toolu_2", "function", "get_time", "{}"],
  ]);
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
}

check(await client.chat.completions.create(request));
const runner = client.chat.completions.stream({ ...request, stream_options: { include_usage: true } });
const finished = [];
runner.on("tool_calls.function.arguments.done", ({ name }) => finished.push(name));
check(await runner.finalChatCompletion());
assert.deepEqual(finished, ["get_weather", "get_time"]);

let reasoning = "";
for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) reasoning += chunk.choices[0].delta.reasoning_content ?? "";
assert.equal(reasoning, "The user wants the weather.");

// What Anthropic has no word for is named.
await assert.rejects(client.chat.completions.create({ ...request, n: 2 }), (error) => error.status === 400 && error.param === "n");
console.log("ok");
