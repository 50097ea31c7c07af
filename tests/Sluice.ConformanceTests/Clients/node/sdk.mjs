// The SDK from the folder that the environment names: imports look beside the importing file only.
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.SLUICE_NODE_MODULES, "here.cjs"));

export const { OpenAI } = require("openai");
