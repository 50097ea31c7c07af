// What stays and how it looks: code in color, and a conversation that outlives a reload.
import assert from "node:assert/strict";
import { answerText, ask, finished, lastAnswer, open } from "./browser.mjs";

const counted = Array.from({ length: 80 }, (_, index) => `w${index + 1}`).join(" ");

export async function code({ address, chromium }) {
  const { page, close } = await open(address, chromium);
  await ask(page, "code");
  await finished(page);
  const pieces = await lastAnswer(page).locator(".code span[class^=hl-]").evaluateAll((nodes) => nodes.map((node) => [node.className, node.textContent]));
  assert.deepEqual(pieces, [
    ["hl-word", "def"], ["hl-comment", "# a comment"], ["hl-word", "return"], ["hl-text", '"<b>"'], ["hl-number", "12"], ["hl-added", "+new\n"], ["hl-removed", "-old"],
  ]);
  // The text is the model's, whatever its colors.
  assert.equal(await lastAnswer(page).locator("pre code").first().evaluate((node) => node.textContent), 'def f(x):  # a comment\n    return "<b>" + str(12)');
  await close();
}

export async function reload({ address, chromium }) {
  const { page, close } = await open(address, chromium);
  await ask(page, "first");
  await finished(page);
  await ask(page, "second");
  await finished(page);
  // A branch beside it.
  await lastAnswer(page).getByRole("button", { name: "Regenerate" }).click();
  await finished(page);
  await page.reload();
  assert.equal(await page.locator("li.message.user pre").allInnerTexts().then((texts) => texts.join()), "first,second");
  await finished(page);
  assert.equal(await answerText(page), "You said second, as message 3.");
  assert.match(await lastAnswer(page).locator(".foot").innerText(), /7 \+ 3 tokens/);
  assert.equal(await lastAnswer(page).getByText("2 of 2").count(), 1);
  await ask(page, "third");
  await finished(page);
  assert.equal(await answerText(page), "You said third, as message 5.");
  // One that runs goes on.
  await ask(page, "count");
  await page.waitForFunction(() => [...document.querySelectorAll(".markdown")].at(-1)?.innerText.includes("w3"));
  await page.reload();
  await page.waitForFunction(() => [...document.querySelectorAll(".markdown")].at(-1)?.innerText.includes("w5"));
  await finished(page);
  assert.equal(await answerText(page), counted);
  // What is too large is not kept, and nothing breaks.
  await page.evaluate(() => sessionStorage.setItem("sluice.conversation", "{broken"));
  await page.evaluate(() => { Storage.prototype.setItem = () => { throw new Error("full"); }; });
  await page.getByRole("button", { name: "New conversation" }).click();
  await ask(page, "fourth");
  await finished(page);
  await page.reload();
  assert.equal(await page.locator("li.message").count(), 0);
  await close();
}
