// What the fetch goes on with: one conversation for each way in which the server behaves, told as a line of JSON each.
import { resumingFetch } from "../../../../clients/js/sluice-client.js";
import { OpenAI } from "./sdk.mjs";

const cases = `first cut middle early clean silent unanswered timeout whole draining foreign foreign-clean other created plain error error-clean stopped
  stopped-spaced stopped-lines error-within stopped-stubborn stopped-404 late stubborn 404 409 410 422 429-final clean-404 key leave-key leave`.split(/\s+/);
const fetch = resumingFetch({ attempts: 3, pause: 0.005, silence: 1 });
const client = new OpenAI({ baseURL: process.argv[2], apiKey: "sk-client", maxRetries: 0, fetch });

for (const name of cases) {
  let [text, failed] = ["", false];
  const request = { model: name, messages: [{ role: "user", content: "Hi" }] };
  const options = name.includes("key") ? { headers: { "Idempotency-Key": `mine-${name}` } } : {};
  if (name === "timeout") Object.assign(options, { timeout: 1_000, maxRetries: 1 });
  try {
    if (name === "whole") {
      text = (await client.chat.completions.create(request)).choices[0].message.content;
    } else {
      for await (const chunk of await client.chat.completions.create({ ...request, stream: true }, options)) {
        text += chunk.choices[0].delta.content ?? "";
        if (name.startsWith("leave") && text) break;
      }
    }
  } catch (error) {
    // The hub's own word on why it ended is not to be lost.
    failed = !name.startsWith("stopped") || error.code === "server_shutdown";
  }
  console.log(JSON.stringify({ case: name, text, failed }));
}
