// Streams that are not as usual: stopped before anything came, with events that are not of the answer, failing ones; and what follows them.
import assert from "node:assert/strict";
import { answerText, ask, finished, lastAnswer, message, open } from "./browser.mjs";

const doors = ["chat", "responses", "messages"];
const sse = (stream, events) => ({
  status: 200,
  headers: { "Content-Type": "text/event-stream", "Sluice-Stream-Id": stream },
  body: events.map(([id, event, data]) => `${id ? `id: ${stream}:${id}\n` : ""}event: ${event}\ndata: ${JSON.stringify({ type: event, ...data })}\n\n`).join(""),
});

async function states(address) {
  return (await (await fetch(new URL("console/api/answers", address))).json()).answers.map((answer) => answer.state);
}

async function become(address, wanted) {
  for (let i = 0; i < 200 && JSON.stringify(await states(address)) !== JSON.stringify(wanted); i++) await new Promise((done) => setTimeout(done, 50));
  assert.deepEqual(await states(address), wanted);
}

export async function early({ address, chromium }) {
  const { page, close } = await open(address, chromium);
  const ended = [];
  for (const door of doors) {
    await page.getByLabel("Door").selectOption(door);
    await ask(page, "silent");
    // The hub makes it, and has told nobody its id yet.
    await become(address, ["running", ...ended]);
    await page.keyboard.press("Escape");
    await finished(page, "stopped");
    ended.unshift("cancelled");
    await become(address, ended);
    // An answer that says nothing is no message: the conversation goes on without it.
    const [request] = await Promise.all([page.waitForRequest((one) => one.method() === "POST" && !one.url().endsWith("/cancel")), ask(page, "hello")]);
    const { messages, input } = request.postDataJSON();
    assert.deepEqual((messages ?? input).map((one) => one.role), ["user", "user"], door);
    await finished(page);
    // The Messages door makes one turn of the two.
    assert.match(await answerText(page), /^You said (silent)?hello/);
    ended.unshift("completed");
    await page.getByRole("button", { name: "New conversation" }).click();
  }
  // What was thought and not said is of the answer; each door has its way.
  const roles = await page.evaluate(async () => {
    const { doors: all } = await import("/console/doors.js");
    const options = { temperature: null, topP: null, maxTokens: null, seed: null, stop: [], tools: [], schema: null, more: {} };
    const messages = [{ role: "user", text: "a" }, { role: "assistant", text: "", calls: [], reasoning: "I think.", raw: [] }, { role: "user", text: "b" }];
    return all.map((door) => { const body = door.build({ model: "m", system: "", messages, options }); return (body.messages ?? body.input).map((one) => [one.role, one.content === null]); });
  });
  assert.deepEqual(roles, [[["user", false], ["assistant", false], ["user", false]], [["user", false], ["user", false]], [["user", false], ["user", false]]]);
  await close();
}

export async function unnumbered({ address, chromium }) {
  const { page, close } = await open(address, chromium);
  const start = { message: { usage: { input_tokens: 5 } } };
  const text = (value) => ({ index: 0, delta: { type: "text_delta", text: value } });
  await page.getByLabel("Door").selectOption("messages");
  // A ping is not of the answer, wherever it comes.
  await page.route("**/v1/messages", (route) => route.fulfill(sse("msg_1", [
    [0, "ping"], [0, "ping"], [0, "ping"], [1, "message_start", start], [2, "content_block_start", { index: 0, content_block: { type: "text", text: "" } }],
    [3, "content_block_delta", text("one ")], [0, "ping"], [0, "ping"], [4, "content_block_delta", text("two")], [5, "content_block_stop", { index: 0 }],
    [6, "message_delta", { delta: { stop_reason: "end_turn" }, usage: { output_tokens: 2 } }], [7, "message_stop"],
  ])));
  await ask(page, "hello");
  await finished(page);
  assert.equal(await answerText(page), "one two");
  assert.match(await lastAnswer(page).locator(".foot").innerText(), /5 \+ 2 tokens · 7 events/);
  await page.unroute("**/v1/messages");
  // Nor is what says that it fails, and it is heard.
  await page.route("**/v1/messages", (route) => route.fulfill(sse("msg_2", [
    [1, "message_start", start], [2, "content_block_start", { index: 0, content_block: { type: "text", text: "" } }], [3, "content_block_delta", text("half")],
    [0, "error", { error: { type: "api_error", message: "The model is gone." } }],
  ])));
  await ask(page, "hello");
  await finished(page, "failed");
  await lastAnswer(page).getByText("The model is gone.").waitFor();
  await page.getByLabel("Door").selectOption("responses");
  await page.route("**/v1/responses", (route) => route.fulfill(sse("resp_1", [
    [0, "keepalive", { sequence_number: 0 }], [0, "keepalive", { sequence_number: 0 }], [1, "response.output_text.delta", { delta: "one " }],
    [0, "keepalive", { sequence_number: 0 }], [2, "response.output_text.delta", { delta: "two" }], [0, "error", { message: "Cut off." }],
  ])));
  await ask(page, "hello");
  await finished(page, "failed");
  assert.equal(await answerText(page), "one two");
  await lastAnswer(page).getByText("Cut off.").waitFor();
  await message(page).waitFor();
  await close();
}
