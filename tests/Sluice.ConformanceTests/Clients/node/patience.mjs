// T-10: comments in the silence before the first token are no chunks.
import assert from "node:assert/strict";
import { OpenAI } from "./sdk.mjs";

let text = "";
for await (const chunk of await new OpenAI({ maxRetries: 0 }).chat.completions.create({
  model: process.env.SLUICE_MODEL,
  messages: [{ role: "user", content: "silent" }],
  stream: true,
})) {
  text += chunk.choices[0].delta.content ?? "";
}
assert.equal(text, "Hello world");
console.log("ok");
