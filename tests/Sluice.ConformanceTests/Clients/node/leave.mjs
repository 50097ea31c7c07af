// Leaves a stream after two pieces, and stays alive until it is told to end: only the leaving can have freed the slot.
import { OpenAI } from "./sdk.mjs";

const [, , prompt, way] = process.argv;
const stream = await new OpenAI().chat.completions.create({
  model: process.env.SLUICE_MODEL,
  messages: [{ role: "user", content: prompt }],
  stream: true,
});
let seen = 0;
for await (const chunk of stream) {
  seen += chunk.choices[0].delta.content ? 1 : 0;
  if (seen < 2) continue;
  if (way === "break") break;
  stream.controller.abort();
}
console.log("left");
process.stdin.once("data", () => process.exit(0));
