// Runs one case: run.mjs NAME ADDRESS CHROMIUM SCREENSHOTS [MORE…]
import * as cases from "./cases.mjs";
import { admin, key, themes } from "./pages.mjs";

const [name, address, chromium, screenshots, ...more] = process.argv.slice(2);
const all = { ...cases, admin, key, themes };
if (!all[name]) throw new Error(`There is no case ${name}.`);
await all[name]({ address, chromium, screenshots, more });
