// The SDK from the folder that the environment names: imports look beside the importing file only.
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.SLUICE_NODE_MODULES, "here.cjs"));

export const { OpenAI } = require("openai");

// The two clients of the Vercel SDK that speak chat completions, as functions from a model's name.
export function providers() {
  const settings = { name: "sluice", baseURL: process.env.OPENAI_BASE_URL, apiKey: process.env.OPENAI_API_KEY };
  const { createOpenAICompatible } = require("@ai-sdk/openai-compatible");
  const { createOpenAI } = require("@ai-sdk/openai");
  return [createOpenAICompatible({ ...settings, includeUsage: true }), createOpenAI(settings).chat];
}
