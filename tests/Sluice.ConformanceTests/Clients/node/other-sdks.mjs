// A client of another vendor: a failed stream gives the text so far and an error part, and may then throw when the body breaks off; an
// answer gives text and usage.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { providers } from "./sdk.mjs";

const require = createRequire(join(process.env.SLUICE_NODE_MODULES, "here.cjs"));
const { streamText } = require("ai");

async function ask(model, prompt) {
  const parts = [];
  try {
    for await (const part of streamText({ model, prompt, maxRetries: 0, onError: () => {} }).fullStream) parts.push(part);
  } catch (error) {
    assert.equal(error.cause?.message, "terminated");
  }
  const text = parts.filter((part) => part.type === "text-delta").map((part) => part.text).join("");
  return { parts, text };
}

for (const provider of providers()) {
  const model = provider(process.env.SLUICE_MODEL);
  for (let round = 0; round < 3; round++) {
    const { parts, text } = await ask(model, "fails");
    assert.equal(text, " one two three");
    const failure = parts.find((part) => part.type === "error").error;
    assert.match(failure.message ?? failure, /server had an error/);
    assert.ok(!parts.some((part) => part.type === "finish" && part.finishReason === "stop"));
  }

  const { parts, text } = await ask(model, "This is echoed.");
  assert.equal(text, "This is echoed.");
  const finish = parts.find((part) => part.type === "finish");
  assert.equal(finish.finishReason, "stop");
  assert.ok(finish.totalUsage.inputTokens > 0 && finish.totalUsage.outputTokens > 0);
}
