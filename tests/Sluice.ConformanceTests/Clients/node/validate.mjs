// The judge of constrained answers: ajv, which had no part in making them. The file names schemas and what was written under each.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.SLUICE_NODE_MODULES, "here.cjs"));
const { default: Ajv } = require("ajv/dist/2020.js");
const { default: addFormats } = require("ajv-formats");

let count = 0;
for (const { schema, answers } of JSON.parse(readFileSync(process.argv[2], "utf8"))) {
  const ajv = addFormats(new Ajv({ strict: false, allErrors: true }));
  const validate = ajv.compile(schema);
  for (const answer of answers) {
    const value = JSON.parse(answer);
    assert.ok(validate(value), `${JSON.stringify(schema)}\n${answer}\n${ajv.errorsText(validate.errors)}`);
    count++;
  }
}
console.log(count);
