// Vercel's AI SDK at a budget: a cut is a normal end, a suspension an error that can be resumed, and each refusal raises as it says.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.SLUICE_NODE_MODULES, "here.cjs"));
const { streamText, generateText, APICallError, RetryError } = require("ai");
const { createOpenAI } = require("@ai-sdk/openai");

const model = process.env.SLUICE_MODEL;
const chat = (apiKey, headers) => createOpenAI({ apiKey, baseURL: process.env.OPENAI_BASE_URL, headers }).chat(model);

async function cause(asking) {
  const error = await asking.then(() => assert.fail("it was not refused"), (thrown) => thrown);
  return RetryError.isInstance(error) ? error.lastError : error;
}

const cut = streamText({ model: chat("ai"), prompt: "forever", maxRetries: 2 });
let text = "";
for await (const part of cut.textStream) text += part;
assert.equal(await cut.finishReason, "length");
assert.equal((await cut.usage).totalTokens, 60);
assert.match(text, /^ one two three/);

const started = performance.now();
const spent = await cause(generateText({ model: chat("ai"), prompt: "forever", maxRetries: 2 }));
assert.ok(APICallError.isInstance(spent));
assert.equal(spent.statusCode, 429);
assert.match(spent.responseBody, /insufficient_quota/);
assert.ok(performance.now() - started < 30_000);

assert.equal((await cause(generateText({ model: chat("expired"), prompt: "forever", maxRetries: 0 }))).statusCode, 401);
assert.equal((await cause(generateText({ model: chat("other"), prompt: "forever", maxRetries: 0 }))).statusCode, 404);
// Not even a whole budget has room: nobody asks again.
const tiny = await cause(generateText({ model: chat("tiny"), prompt: "forever", maxRetries: 2 }));
assert.equal(tiny.statusCode, 400);
assert.match(tiny.responseBody, /budget_too_small/);

// As any stream that fails: the text so far, an error part, and then the body breaks off.
const suspended = streamText({ model: chat("suspend", { "Idempotency-Key": "again" }), prompt: "forever", maxRetries: 0, onError: () => {} });
const parts = [];
try {
  for await (const part of suspended.fullStream) parts.push(part);
} catch (error) {
  assert.equal(error.cause?.message, "terminated");
}
assert.match(parts.filter((part) => part.type === "text-delta").map((part) => part.text).join(""), /^ one two three/);
const failure = parts.find((part) => part.type === "error").error;
assert.match(failure.message ?? JSON.stringify(failure), /suspended/);
assert.ok(!parts.some((part) => part.type === "finish" && part.finishReason === "stop"));
console.log("ok");
