// Moves between the pages while an answer runs, and where the focus is.
import assert from "node:assert/strict";
import { answerText, ask, finished, lastAnswer, message, open } from "./browser.mjs";

const counted = Array.from({ length: 80 }, (_, index) => `w${index + 1}`).join(" ");
const runs = (page) => page.waitForFunction(() => [...document.querySelectorAll(".markdown")].at(-1)?.innerText.includes("w3"));
const focus = (page) => page.evaluate(() => { const node = document.activeElement; return node?.id || node?.getAttribute("aria-label") || node?.innerText?.trim() || node?.localName; });

export async function leave({ address, chromium }) {
  const { page, close } = await open(address, chromium);
  const goTo = async (name) => {
    await page.getByRole("link", { name, exact: true }).click();
    if (name === "Now") await page.getByRole("heading", { name: "Your answers" }).waitFor();
    else await message(page).waitFor();
  };
  // Away and back while it runs.
  await ask(page, "count");
  await runs(page);
  await goTo("Now");
  await goTo("Playground");
  assert.equal(await page.getByRole("button", { name: "Send" }).isDisabled(), true);
  await finished(page);
  assert.equal(await answerText(page), counted);
  assert.equal(await page.locator("li.message").count(), 2);
  // It ends while another page is shown.
  await ask(page, "again");
  await goTo("Now");
  await page.getByText("Nothing runs, and nothing is suspended.").waitFor();
  await goTo("Playground");
  await finished(page);
  assert.equal(await page.locator("li.message").count(), 4);
  await ask(page, "hello");
  await finished(page);
  assert.equal(await answerText(page), "You said hello, as message 5.");
  await close();
}

export async function focused({ address, chromium }) {
  const { page, close } = await open(address, chromium);
  await page.getByRole("link", { name: "Now" }).click();
  await page.getByRole("heading", { name: "Your answers" }).waitFor();
  await page.locator(".skip").focus();
  await page.keyboard.press("Enter");
  assert.equal(await focus(page), "view");
  assert.equal(new URL(page.url()).hash, "#now");
  await page.getByRole("heading", { name: "Your answers" }).waitFor();

  await page.getByRole("link", { name: "Playground" }).click();
  await ask(page, "one");
  await finished(page);
  await page.getByRole("button", { name: "Regenerate" }).focus();
  await page.keyboard.press("Enter");
  await page.getByText("2 of 2").waitFor();
  await finished(page);
  // Its button was turned off meanwhile, so the next thing to do is to write.
  assert.equal(await focus(page), "message");
  await page.getByRole("button", { name: "Branch before" }).focus();
  await page.keyboard.press("Enter");
  await page.getByText("1 of 2").waitFor();
  assert.equal(await focus(page), "message");
  await page.getByRole("button", { name: "Regenerate" }).click();
  await page.getByText("3 of 3").waitFor();
  await finished(page);
  await page.getByRole("button", { name: "Branch before" }).focus();
  await page.keyboard.press("Enter");
  await page.getByText("2 of 3").waitFor();
  assert.equal(await focus(page), "Branch before");
  await page.getByRole("button", { name: "Edit" }).focus();
  await page.keyboard.press("Enter");
  assert.equal(await focus(page), "Edited message");
  await page.getByRole("button", { name: "Cancel" }).focus();
  await page.keyboard.press("Enter");
  assert.equal(await focus(page), "Edit");

  await ask(page, "count");
  await runs(page);
  await lastAnswer(page).getByRole("button", { name: "Cut the connection" }).focus();
  await page.keyboard.press("Enter");
  await finished(page, "cut");
  await page.waitForFunction(() => document.activeElement?.innerText === "Resume");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement?.innerText === "Cut the connection");
  await lastAnswer(page).getByRole("button", { name: "Stop" }).focus();
  await page.keyboard.press("Enter");
  await finished(page, "stopped");
  await page.waitForFunction(() => document.activeElement?.closest("li.message"));
  await ask(page, "count");
  await runs(page);
  await page.locator("form.composer").getByRole("button", { name: "Stop" }).focus();
  await page.keyboard.press("Enter");
  await finished(page, "stopped");
  await page.waitForFunction(() => document.activeElement?.id === "message");
  await close();
}

export async function refused({ address, chromium }) {
  const { page, close } = await open(`${address}#now`, chromium);
  const answer = { model: "m", state: "running", readers: 1, age: 1, events: 1, input_tokens: 1, output_tokens: 1, estimated: false };
  let asked = 0;
  await page.route("**/console/api/answers", (route) => {
    asked++;
    return route.fulfill({ json: { answers: [
      { ...answer, id: "cmpl-1", door: "completions", path: "/v1/completions" }, { ...answer, id: "chatcmpl-1", door: "chat", path: "/v1/chat/completions" },
    ] } });
  });
  await page.route("**/cancel", (route) => route.fulfill({ status: 503, json: { error: { message: "Not now." } } }));
  await page.getByRole("button", { name: "Refresh" }).click();
  const rows = page.locator("tbody tr");
  await rows.nth(1).waitFor();
  // The page can read no text completion, so it offers none.
  assert.deepEqual([await rows.first().getByRole("link").count(), await rows.last().getByRole("link").count()], [0, 1]);
  await rows.first().getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("alert").getByText("Not now.").waitFor();
  const before = asked;
  for (let i = 0; i < 200 && asked < before + 2; i++) await page.waitForTimeout(50);
  assert.ok(asked >= before + 2);
  assert.match(await page.getByRole("alert").innerText(), /Not now\./);
  await close();
}
