// A stream that fails raises after what came before; a refusal raises as its status says.
import assert from "node:assert/strict";
import { OpenAI } from "./sdk.mjs";

const model = process.env.SLUICE_MODEL;
const client = new OpenAI({ maxRetries: 0 });
const ask = (changes) =>
  client.chat.completions.create({ model, messages: [{ role: "user", content: "Hello" }], stream: true, ...changes });
const say = (content) => [{ role: "user", content }];

// Three words, then the model throws. Many times, for the abort that follows the error event must never overtake it.
for (let round = 0; round < 10; round++) {
  let text = "";
  await assert.rejects(
    async () => {
      for await (const chunk of await ask({ messages: say("fails") })) {
        assert.equal(chunk.choices[0].finish_reason, null);
        text += chunk.choices[0].delta.content ?? "";
        // A client that is busy between two chunks has the rest queued when the abort arrives.
        if (round % 2) await new Promise((resolve) => setImmediate(resolve));
      }
    },
    (error) => error instanceof OpenAI.APIError && error.status === undefined && error.type === "server_error",
  );
  assert.equal(text, " one two three");
}

await assert.rejects(client.chat.completions.stream({ model, messages: say("fails") }).finalChatCompletion(), OpenAI.APIError);

for (const [kind, status, code, changes] of [
  [OpenAI.NotFoundError, 404, "model_not_found", { model: "nobody" }],
  [OpenAI.BadRequestError, 400, "decimal_above_max_value", { temperature: 3 }],
  [OpenAI.BadRequestError, 400, "empty_array", { messages: [] }],
  [OpenAI.InternalServerError, 500, null, { messages: say("fails at once") }],
]) {
  for (const stream of [true, false]) {
    await assert.rejects(
      async () => await ask({ ...changes, stream }),
      (error) => error instanceof kind && error.status === status && error.code === code && /^req_/.test(error.requestID),
    );
  }
}

const locked = new OpenAI({ maxRetries: 0, baseURL: process.argv[2], apiKey: "sk-wrong" });
await assert.rejects(async () => await locked.models.list(), OpenAI.AuthenticationError);
console.log("ok");
