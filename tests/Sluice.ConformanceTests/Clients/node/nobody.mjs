// nobody is there.
import assert from "node:assert/strict";
import { OpenAI } from "./sdk.mjs";

const client = new OpenAI({ maxRetries: 1 });
await assert.rejects(
  async () => await client.chat.completions.create({ model: "any", messages: [{ role: "user", content: "Hello" }], stream: true }),
  OpenAI.APIConnectionError,
);
console.log("ok");
