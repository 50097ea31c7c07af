// Models of upstreams with a script each: one that is plain, calls tools, is slow to begin, is rescued, or breaks off for good.
import assert from "node:assert/strict";
import { OpenAI } from "./sdk.mjs";

const client = new OpenAI({ maxRetries: 0 });
const request = (model) => ({ model, messages: [{ role: "user", content: "Hi" }] });
const tools = ["f", "g"].map((name) => ({ type: "function", function: { name, parameters: { type: "object", properties: {} } } }));

for (const [model, content] of [["plain", "Grüße 🙂"], ["slow", "Hello"], ["rescued", "The quick brown fox"]]) {
  const asked = { ...request(model), stream_options: { include_usage: true } };
  const chunks = [];
  for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) chunks.push(chunk);
  assert.equal(new Set(chunks.map((chunk) => `${chunk.id} ${chunk.created} ${chunk.model}`)).size, 1);
  const choices = chunks.flatMap((chunk) => chunk.choices);
  assert.equal(choices.map((choice) => choice.delta.content ?? "").join(""), content);
  assert.deepEqual(choices.map((choice) => choice.delta.role).filter(Boolean), ["assistant"]);
  assert.deepEqual(choices.map((choice) => choice.finish_reason).filter(Boolean), ["stop"]);
  assert.deepEqual(chunks.map((chunk) => chunk.usage?.total_tokens).filter(Boolean), [10]);
  const whole = await client.chat.completions.stream(asked).finalChatCompletion();
  const answer = await client.chat.completions.create(request(model));
  for (const { choices, usage } of [whole, answer]) assert.deepEqual([choices[0].message.content, usage.total_tokens], [content, 10]);
}

const expected = [["a", "f", '{"x":1}'], ["b", "g", "{}"]];
const done = [];
const runner = client.chat.completions.stream({ ...request("tools"), tools });
runner.on("tool_calls.function.arguments.done", (event) => done.push([event.index, event.name, event.arguments]));
const whole = await runner.finalChatCompletion();
assert.deepEqual(done, [[0, "f", '{"x":1}'], [1, "g", "{}"]]);
for (const { choices } of [whole, await client.chat.completions.create({ ...request("tools"), tools })]) {
  assert.deepEqual(choices[0].message.tool_calls.map((call) => [call.id, call.function.name, call.function.arguments]), expected);
  assert.equal(choices[0].finish_reason, "tool_calls");
}

let text = "";
await assert.rejects(
  async () => {
    for await (const chunk of await client.chat.completions.create({ ...request("broken"), stream: true })) {
      assert.equal(chunk.choices[0].finish_reason, null);
      text += chunk.choices[0].delta.content ?? "";
    }
  },
  (error) => error instanceof OpenAI.APIError && error.status === undefined && error.code === "upstream_truncated",
);
assert.equal(text, "The quick");
await assert.rejects(
  async () => await client.chat.completions.create(request("broken")),
  (error) => error instanceof OpenAI.InternalServerError && error.status === 502 && error.code === "upstream_truncated",
);

// The hub does not wait half a minute, and the SDK is told of it.
for (const [model, kind, status] of [["limited", OpenAI.RateLimitError, 429], ["down", OpenAI.InternalServerError, 503]]) {
  await assert.rejects(
    async () => await client.chat.completions.create({ ...request(model), stream: true }),
    (error) => error instanceof kind && error.status === status && error.error.message === "busy",
  );
}
console.log("ok");
