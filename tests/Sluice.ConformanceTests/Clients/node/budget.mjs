// A budget that ends is a normal end to the SDK, and a spent one raises at once.
import assert from "node:assert/strict";
import { OpenAI } from "./sdk.mjs";

const model = process.env.SLUICE_MODEL;
const client = (apiKey) => new OpenAI({ apiKey, maxRetries: 2 });
const request = { model, messages: [{ role: "user", content: "forever" }] };

const reasons = [];
let usage;
for await (const chunk of await client("node").chat.completions.create({ ...request, stream: true, stream_options: { include_usage: true } })) {
  for (const choice of chunk.choices) if (choice.finish_reason) reasons.push(choice.finish_reason);
  usage = chunk.usage ?? usage;
}
assert.deepEqual(reasons, ["length"]);
assert.equal(usage.total_tokens, 60);

const started = performance.now();
await assert.rejects(client("node").chat.completions.create(request), (error) => error.status === 429 && error.code === "insufficient_quota");
assert.ok(performance.now() - started < 10_000);
console.log("ok");
