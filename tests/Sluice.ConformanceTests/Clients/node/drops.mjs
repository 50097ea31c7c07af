// Many requests at a time whose first connections break before an answer: the SDK, as it is, asks again.
import assert from "node:assert/strict";
import { OpenAI } from "./sdk.mjs";

const [, , baseURL, count] = process.argv;
const client = new OpenAI({ baseURL, maxRetries: 5 });

async function converse(number) {
  const request = { model: process.env.SLUICE_MODEL, messages: [{ role: "user", content: `request ${number}` }] };
  let text = "";
  if (number % 2 === 0) text = (await client.chat.completions.create(request)).choices[0].message.content;
  else for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) text += chunk.choices[0].delta.content ?? "";
  assert.equal(text, "late");
}

await Promise.all(Array.from({ length: Number(count) }, (_, number) => converse(number)));
