// Ollama's own client for JavaScript, and LangChain's on top of it. First argument: what to try.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.SLUICE_NODE_MODULES, "here.cjs"));
const { Ollama } = require("ollama");

const [, , what, host, model] = process.argv;
const ollama = new Ollama({ host });
const tool = {
  type: "function",
  function: { name: "get_weather", description: "Weather", parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } },
};

async function collect(stream) {
  const all = { content: "", thinking: "", calls: [], last: null };
  for await (const part of stream) {
    assert.equal(part.model, model);
    assert.ok(!Number.isNaN(Date.parse(part.created_at)), part.created_at);
    all.content += part.message.content;
    all.thinking += part.message.thinking ?? "";
    all.calls.push(...(part.message.tool_calls ?? []));
    all.last = part;
  }
  assert.equal(all.last.done, true);
  return all;
}

const tries = {
  async local() {
    const streamed = await collect(await ollama.chat({ model, messages: [{ role: "user", content: "text" }], stream: true }));
    assert.equal(streamed.content, " one two three");
    assert.equal(streamed.last.done_reason, "stop");
    for (const name of ["total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count", "eval_duration"]) {
      assert.ok(Number.isSafeInteger(streamed.last[name]) && streamed.last[name] >= 0, name);
    }
    const whole = await ollama.chat({ model, messages: [{ role: "user", content: "text" }] });
    assert.equal(whole.message.content, " one two three");
    assert.equal(whole.eval_count, streamed.last.eval_count);
    const cut = await ollama.chat({ model, messages: [{ role: "user", content: "text" }], options: { num_predict: 1, num_ctx: 8192, seed: -1, unknown: 1 } });
    assert.equal(cut.done_reason, "length");
    const generated = await ollama.generate({ model, prompt: "text" });
    assert.equal(generated.response, " one two three");
    let pieces = "";
    for await (const part of await ollama.generate({ model: `${model}:latest`, prompt: "text", system: "s", stream: true })) pieces += part.response;
    assert.equal(pieces, " one two three");
    const loaded = await ollama.chat({ model, messages: [], keep_alive: "5m" });
    assert.equal(loaded.done_reason, "load");
    const running = await ollama.ps();
    assert.deepEqual(running.models.map((one) => one.name), [model]);
    assert.ok(Date.parse(running.models[0].expires_at) > Date.now());
    const list = await ollama.list();
    assert.ok(list.models.some((one) => one.name === model && one.digest.length === 64));
    assert.equal((await ollama.show({ model })).modelfile.length > 0, true);
    assert.match((await ollama.version()).version, /^\d+\.\d+\.\d+$/);
  },
  async calls() {
    const messages = [{ role: "user", content: "Weather?", images: ["iVBORw0KGgo="] }];
    const first = await collect(await ollama.chat({ model, messages, tools: [tool], think: true, stream: true }));
    assert.equal(first.thinking, "Hm");
    assert.equal(first.content, "Let me see.");
    assert.deepEqual(first.calls.map((call) => [call.function.name, call.function.arguments]), [["get_weather", { city: "Paris" }], ["get_time", {}]]);
    messages.push({ role: "assistant", content: first.content, thinking: first.thinking, tool_calls: first.calls });
    messages.push({ role: "tool", content: "12:00", tool_name: "get_time" }, { role: "tool", content: "sunny", tool_name: "get_weather" });
    const whole = await ollama.chat({ model, messages, tools: [tool], format: { type: "object", properties: {} }, options: { temperature: 0, stop: ["END"] } });
    assert.equal(whole.message.thinking, "Hm");
    assert.equal(whole.message.tool_calls.length, 2);
    const silent = await collect(await ollama.chat({ model, messages, think: false, stream: true }));
    assert.equal(silent.thinking, "");
  },
  async errors() {
    await assert.rejects(ollama.chat({ model: "nobody", messages: [{ role: "user", content: "x" }] }), (error) => error.status_code === 404 && /nobody/.test(error.message));
    const stream = await ollama.chat({ model, messages: [{ role: "user", content: "x" }], stream: true });
    await assert.rejects(async () => {
      for await (const part of stream) assert.equal(part.done, false);
    });
  },
  async embed() {
    const two = await ollama.embed({ model, input: ["a", "b"] });
    assert.equal(two.embeddings.length, 2);
    assert.ok(two.total_duration > 0);
    const one = await ollama.embeddings({ model, prompt: "b" });
    assert.deepEqual(one.embedding, two.embeddings[1]);
    const short = await ollama.embed({ model, input: "word ".repeat(2000), dimensions: 8 });
    assert.equal(short.embeddings[0].length, 8);
    await assert.rejects(ollama.embed({ model, input: "word ".repeat(2000), truncate: false }), /tokens/);
  },
  async abort() {
    setTimeout(() => ollama.abort(), 500);
    const stream = await ollama.chat({ model, messages: [{ role: "user", content: "endless" }], stream: true });
    await assert.rejects(async () => {
      for await (const part of stream) assert.equal(part.done, false);
    }, { name: "AbortError" });
  },
  async langchain() {
    const { ChatOllama, OllamaEmbeddings } = require("@langchain/ollama");
    const chat = new ChatOllama({ model, baseUrl: host }).bindTools([tool]);
    const answer = await chat.invoke([["human", "Weather?"]]);
    assert.deepEqual(answer.tool_calls.map((call) => [call.name, call.args]), [["get_weather", { city: "Paris" }], ["get_time", {}]]);
    assert.ok(OllamaEmbeddings);
  },
};

await tries[what]();
console.log("ok");
