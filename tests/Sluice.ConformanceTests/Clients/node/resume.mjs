// Conversations over connections that break: each answer must be exactly the one that was asked for. Reads how many from stdin, batch by batch.
import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { resumingFetch } from "../../../../clients/js/sluice-client.js";
import { OpenAI } from "./sdk.mjs";

const [, , echo, tools, seed] = process.argv;
const pieces = ["one", " two", "Hello", " world", "ü", "ß", "😀", "👩\u200d🚀", "日本語", '"', "\\", "{}", "\n", "e\u0301", "-"];
const series = [3, 7, 15, 40];
const functions = [{ type: "function", function: { name: "f", parameters: { type: "object", properties: {} } } }];
const fetch = resumingFetch({ pause: 0.005, silence: 1 });
const clients = Object.fromEntries([echo, tools].map((hub) => [hub, new OpenAI({ baseURL: hub, fetch, timeout: 5_000, maxRetries: 5 })]));

// mulberry32
function random(state) {
  return () => {
    let t = (state += 0x6d2b79f5);
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

async function converse(number) {
  const next = random(Number(seed) * 1_000_003 + number);
  const choose = (values) => values[Math.floor(next() * values.length)];
  const write = () => Array.from({ length: choose(series) }, () => choose(pieces)).join("");
  const [text, written] = [`x${write()}x`, JSON.stringify({ a: write() })];
  const [hasTools, isStream, hasUsage] = [next() < 0.4, next() < 0.85, next() < 0.5];
  const count = hasTools ? 1 : choose([1, 1, 2]);
  const finish = hasTools ? "tool_calls" : "stop";
  const content = hasTools ? JSON.stringify([text, written]) : text;
  const request = { model: hasTools ? "m" : "scripted", messages: [{ role: "user", content }], n: count, ...(hasTools && { tools: functions }) };
  const { chat } = clients[hasTools ? tools : echo];
  if (!isStream) {
    const { choices } = await chat.completions.create(request);
    assert.deepEqual(choices.map((choice) => [choice.message.content, choice.finish_reason]), Array(count).fill([text, finish]));
    if (hasTools) assert.equal(choices[0].message.tool_calls[0].function.arguments, written);
    return;
  }
  const chunks = [];
  const options = hasUsage ? { stream_options: { include_usage: true } } : {};
  for await (const chunk of await chat.completions.create({ ...request, ...options, stream: true })) chunks.push(chunk);
  assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
  for (let index = 0; index < count; index++) {
    const choices = chunks.flatMap((chunk) => chunk.choices).filter((choice) => choice.index === index);
    const deltas = choices.map((choice) => choice.delta);
    assert.equal(deltas.map((delta) => delta.content ?? "").join(""), text);
    assert.equal(deltas.filter((delta) => delta.role).length, 1);
    assert.deepEqual(choices.map((choice) => choice.finish_reason).filter(Boolean), [finish]);
    const calls = deltas.flatMap((delta) => delta.tool_calls ?? []);
    assert.deepEqual(calls.map((call) => call.id).filter(Boolean), hasTools ? ["call_1"] : []);
    assert.equal(calls.map((call) => call.function.arguments ?? "").join(""), hasTools ? written : "");
  }
  assert.equal(chunks.filter((chunk) => chunk.usage).length, hasUsage ? 1 : 0);
}

let done = 0;
for await (const line of createInterface({ input: process.stdin })) {
  const end = done + Number(line);
  const work = async () => {
    while (done < end) await converse(done++);
  };
  await Promise.all(Array.from({ length: 8 }, work));
  console.log("ok");
}
