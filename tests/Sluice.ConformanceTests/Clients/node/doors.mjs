// Clients at the doors of Responses and Messages: a question, a call, its result and an answer, streamed and whole, by every model that is named.
// The first argument says which client; the others are models, each behind an upstream of another API.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.SLUICE_NODE_MODULES, "here.cjs"));
const [client, ...models] = process.argv.slice(2);
const baseURL = process.env.OPENAI_BASE_URL;
const apiKey = process.env.OPENAI_API_KEY;
const question = "Weather in Paris?";
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const weather = (city) => `sunny-18 in ${city}`;

async function openai(model) {
  const { OpenAI } = require("openai");
  const sdk = new OpenAI({ maxRetries: 0 });
  const tools = [{ type: "function", name: "get_weather", parameters, strict: true }];
  const ask = { model, tools, include: ["reasoning.encrypted_content"] };
  const whole = await sdk.responses.create({ ...ask, input: question });
  const stream = sdk.responses.stream({ ...ask, input: question });
  const types = [];
  for await (const event of stream) types.push(event.type);
  const streamed = await stream.finalResponse();
  assert.deepEqual(streamed.output.map((item) => item.type), ["reasoning", "message", "function_call"]);
  assert.equal(streamed.output_text, whole.output_text);
  assert.equal(streamed.output_text, "Let me see.");
  assert.equal(types.at(-1), "response.completed");
  assert.ok(streamed.usage.total_tokens > 0);
  const call = streamed.output[2];
  assert.deepEqual([call.name, JSON.parse(call.arguments)], ["get_weather", { city: "Paris" }]);
  const result = { type: "function_call_output", call_id: call.call_id, output: weather("Paris") };
  // The client's own history, and the hub's.
  const own = await sdk.responses.create({ ...ask, store: false, input: [{ role: "user", content: question }, ...streamed.output, result] });
  const kept = await sdk.responses.create({ ...ask, previous_response_id: streamed.id, input: [result] });
  for (const answer of [own, kept]) assert.equal(answer.output_text, "It is sunny.");
}

async function anthropic(model) {
  const { Anthropic } = require("@anthropic-ai/sdk");
  const sdk = new Anthropic({ apiKey, baseURL: baseURL.replace(/\/v1$/, ""), maxRetries: 0 });
  const ask = { model, max_tokens: 100, tools: [{ name: "get_weather", input_schema: parameters }] };
  const messages = [{ role: "user", content: question }];
  const whole = await sdk.messages.create({ ...ask, messages });
  const stream = sdk.messages.stream({ ...ask, messages });
  let text = "";
  stream.on("text", (piece) => (text += piece));
  const streamed = await stream.finalMessage();
  assert.equal(text, "Let me see.");
  for (const message of [whole, streamed]) {
    assert.deepEqual(message.content.map((block) => block.type), ["thinking", "text", "tool_use"]);
    assert.equal(message.stop_reason, "tool_use");
    assert.ok(message.content[0].signature.length > 0);
    assert.deepEqual(message.content[2].input, { city: "Paris" });
    assert.ok(message.usage.input_tokens > 0 && message.usage.output_tokens > 0);
  }
  const result = { type: "tool_result", tool_use_id: streamed.content[2].id, content: weather("Paris") };
  const answer = await sdk.messages.create({ ...ask, messages: [...messages, { role: "assistant", content: streamed.content }, { role: "user", content: [result] }] });
  assert.equal(answer.content.at(-1).text, "It is sunny.");
  assert.ok((await sdk.messages.countTokens({ model, messages })).input_tokens > 0);
  await assert.rejects(sdk.messages.create({ ...ask, model: "nobody", messages }), (error) => error.status === 404 && error.error.error.type === "not_found_error");
}

async function vercel(model) {
  const { generateText, streamText, stepCountIs, tool, jsonSchema } = require("ai");
  const { createOpenAI } = require("@ai-sdk/openai");
  const { createAnthropic } = require("@ai-sdk/anthropic");
  const tools = { get_weather: tool({ inputSchema: jsonSchema(parameters), execute: async ({ city }) => weather(city) }) };
  const openai = createOpenAI({ baseURL, apiKey }).responses;
  for (const provider of [openai, createAnthropic({ baseURL, apiKey })]) {
    const ask = { model: provider(model), prompt: question, tools, stopWhen: stepCountIs(3), maxRetries: 0 };
    const whole = await generateText(ask);
    assert.equal(whole.text, "It is sunny.");
    assert.deepEqual(whole.steps.map((step) => step.finishReason), ["tool-calls", "stop"]);
    const failures = [];
    const streamed = streamText({ ...ask, onError: ({ error }) => failures.push(error) });
    assert.equal((await streamed.steps).map((step) => step.text).join("|"), "Let me see.|It is sunny.", `${failures}`);
    // Of the Responses API the SDK shows summaries, and a chat server's reasoning is none.
    const shown = provider === openai && model.startsWith("chat") ? "" : "Hm";
    assert.equal((await streamed.steps)[0].reasoningText ?? "", shown);
    assert.ok((await streamed.totalUsage).inputTokens > 0);
  }
}

async function langchain(model) {
  const { ChatOpenAI } = require("@langchain/openai");
  const { HumanMessage } = require("@langchain/core/messages");
  const { tool } = require("@langchain/core/tools");
  const { z } = require("zod");
  const chat = new ChatOpenAI({ model, apiKey, configuration: { baseURL }, maxRetries: 0, useResponsesApi: true });
  const get = tool(({ city }) => weather(city), { name: "get_weather", description: "The weather", schema: z.object({ city: z.string() }) });
  const bound = chat.bindTools([get]);
  let whole;
  for await (const chunk of await bound.stream([new HumanMessage(question)])) whole = whole ? whole.concat(chunk) : chunk;
  assert.deepEqual(whole.tool_calls.map((call) => [call.name, call.args]), [["get_weather", { city: "Paris" }]]);
  const result = await get.invoke(whole.tool_calls[0]);
  const answer = await bound.invoke([new HumanMessage(question), whole, result]);
  assert.equal(answer.text, "It is sunny.");
  assert.ok(answer.usage_metadata.total_tokens > 0);
}

async function agents(model) {
  const { Agent, Runner, OpenAIProvider, tool, setTracingDisabled } = require("@openai/agents");
  const { z } = require("zod");
  setTracingDisabled(true);
  const get = tool({ name: "get_weather", description: "The weather", parameters: z.object({ city: z.string() }), execute: async ({ city }) => weather(city) });
  const runner = new Runner({ modelProvider: new OpenAIProvider({ baseURL, apiKey, useResponses: true }), tracingDisabled: true });
  const agent = new Agent({ name: "a", instructions: "Answer briefly.", model, tools: [get] });
  assert.equal((await runner.run(agent, question)).finalOutput, "It is sunny.");
  const streamed = await runner.run(agent, question, { stream: true });
  for await (const _ of streamed) {
    // Read to the end.
  }
  await streamed.completed;
  assert.equal(streamed.finalOutput, "It is sunny.");
}

for (const model of models) {
  try {
    await { openai, anthropic, vercel, langchain, agents }[client](model);
  } catch (error) {
    console.error(`with ${model}:`);
    throw error;
  }
}
console.log("ok");
