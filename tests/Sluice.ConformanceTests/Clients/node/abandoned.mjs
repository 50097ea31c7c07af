// Two equal requests that are left before their answers begin.
import { resumingFetch } from "../../../../clients/js/sluice-client.js";
import { OpenAI } from "./sdk.mjs";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "sk-client", maxRetries: 0, fetch: resumingFetch() });
const create = (model, options) => client.chat.completions.create({ model, messages: [{ role: "user", content: "Hi" }] }, options);

await create("whole");
const leaves = new AbortController();
const requests = [create("abandoned", { signal: leaves.signal }), create("abandoned", { signal: leaves.signal })];
const ends = Promise.allSettled(requests);
console.log("waiting");
await new Promise((resolve) => process.stdin.once("data", resolve));
leaves.abort();
await ends;
// Node waits for nobody's cancels: an equal request may still come.
await new Promise((resolve) => process.stdin.once("data", resolve));
process.exit();
