// Writes the programs that the playground shows of a request: programs.mjs ADDRESS MODEL, as JSON of [door, language, program].
const page = new URL("../../../../src/Sluice.Server/Console/page/", import.meta.url);
const load = async (name) => {
  const { readFileSync } = await import("node:fs");
  return import(`data:text/javascript;base64,${readFileSync(new URL(name, page)).toString("base64")}`);
};
const { doors } = await load("doors.js");
const { languages } = await load("snippets.js");
const [address, model] = process.argv.slice(2);
const options = { temperature: 0.5, topP: null, maxTokens: 50, seed: null, stop: [], tools: [], schema: null, more: {} };
const messages = [{ role: "user", text: 'It\'s "quoted", \\ and ü, """three""", None true' }];
const programs = [];
for (const door of doors) {
  const body = door.build({ model, system: "Be brief.", messages, options });
  for (const language of languages) programs.push([door.id, language.id, language.write(door, body, address.replace(/\/$/, ""))]);
}
console.log(JSON.stringify(programs));
