// Runs one case: run.mjs NAME ADDRESS CHROMIUM SCREENSHOTS [MORE…]
import * as cases from "./cases.mjs";
import * as kept from "./kept.mjs";
import * as moves from "./moves.mjs";
import { admin, key, themes } from "./pages.mjs";
import * as streams from "./streams.mjs";

const [name, address, chromium, screenshots, ...more] = process.argv.slice(2);
const all = { ...cases, ...kept, ...moves, ...streams, admin, key, themes };
if (!all[name]) throw new Error(`There is no case ${name}.`);
await all[name]({ address, chromium, screenshots, more });
