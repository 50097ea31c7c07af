// Streams, collects and counts: every way in which the SDK reads an answer must tell the same one.
import assert from "node:assert/strict";
import { OpenAI } from "./sdk.mjs";

const model = process.env.SLUICE_MODEL;
const client = new OpenAI({ maxRetries: 0 });
const request = { model, messages: [{ role: "user", content: process.argv[2] }], stop: [".", "\n"], max_tokens: 200, seed: 4 };
const options = { stream_options: { include_usage: true } };

async function stream(n) {
  const chunks = [];
  for await (const chunk of await client.chat.completions.create({ ...request, ...options, n, stream: true })) chunks.push(chunk);
  assert.equal(new Set(chunks.map((chunk) => `${chunk.id} ${chunk.created} ${chunk.model}`)).size, 1);
  const usage = chunks.pop().usage;
  const contents = Array(n).fill("");
  const finishes = Array(n).fill(null);
  for (const { choices, usage } of chunks) {
    assert.equal(usage, null);
    assert.equal(choices.length, 1);
    contents[choices[0].index] += choices[0].delta.content ?? "";
    finishes[choices[0].index] ??= choices[0].finish_reason;
  }
  return [contents, finishes, usage];
}

async function collect(n) {
  const answer = await client.chat.completions.create({ ...request, n });
  assert.match(answer._request_id, /^req_/);
  return summary(answer);
}

// S-14: the SDK's own accumulator.
async function accumulate(n) {
  let deltas = 0;
  const runner = client.chat.completions.stream({ ...request, ...options, n }).on("content", () => deltas++);
  const answer = await runner.finalChatCompletion();
  assert.ok(deltas > 0);
  for (const choice of answer.choices) assert.equal(choice.message.role, "assistant");
  return summary(answer);
}

function summary(answer) {
  return [answer.choices.map((choice) => choice.message.content), answer.choices.map((choice) => choice.finish_reason), answer.usage];
}

for (const n of [1, 2, 3]) {
  const streamed = await stream(n);
  const counts = ([contents, finishes, usage]) => [contents, finishes, usage.prompt_tokens, usage.completion_tokens, usage.total_tokens];
  assert.deepEqual(counts(await collect(n)), counts(streamed));
  assert.deepEqual(counts(await accumulate(n)), counts(streamed));
}

const known = [];
for await (const { id } of client.models.list()) known.push(id);
assert.ok(known.includes(model));
console.log("ok");
