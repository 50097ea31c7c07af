// Themes and widths, and the pages that need a key.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ask, axe, axePath, finished, lastAnswer, message, open } from "./browser.mjs";

const widths = [360, 768, 1280];

async function look(page, screenshots, name) {
  for (const theme of ["light", "dark"]) {
    await page.getByLabel("Theme").selectOption(theme);
    for (const width of widths) {
      await page.setViewportSize({ width, height: 800 });
      await page.waitForTimeout(50);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(overflow <= 0, `${name}, ${theme}, ${width}: ${overflow} pixels too wide`);
      await page.screenshot({ path: join(screenshots, `${name}-${theme}-${width}.png`) });
      if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(readFileSync(axePath, "utf8"));
      await axe(page, `${name}, ${theme}, ${width}`);
    }
  }
}

export async function themes({ address, chromium, screenshots }) {
  // The checker is not of the page, and its policy would refuse it.
  const { page, close } = await open(address, chromium, { bypassCSP: true });
  await ask(page, "hello");
  await finished(page);
  await ask(page, "tools");
  await finished(page);
  for (const summary of ["Parameters", "Tools"]) await page.getByText(summary, { exact: true }).click();
  await look(page, screenshots, "playground");
  // A key alone reaches everything: from the first link on.
  await page.evaluate(() => { document.activeElement?.blur(); window.scrollTo(0, 0); });
  const reached = new Set();
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press("Tab");
    reached.add(await page.evaluate(() => { const node = document.activeElement; return node?.id || node?.innerText?.trim() || node?.localName; }));
  }
  for (const name of ["Skip to the content", "Playground", "Now", "key-button", "theme", "message", "Edit", "Regenerate", "clear"]) assert.ok(reached.has(name), `Tab doesn't reach ${name}: ${[...reached].join(", ")}`);
  await page.getByRole("link", { name: "Now" }).click();
  await page.getByLabel("Those").selectOption("all");
  await page.locator("tbody tr").first().waitFor();
  await look(page, screenshots, "now");
  // The system's choice counts until somebody makes another one.
  await page.evaluate(() => localStorage.clear());
  await page.emulateMedia({ colorScheme: "dark" });
  await page.reload();
  const back = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const dark = await back();
  await page.emulateMedia({ colorScheme: "light" });
  assert.notEqual(await back(), dark);
  await page.getByLabel("Theme").selectOption("dark");
  assert.equal(await back(), dark);
  await page.reload();
  assert.equal(await back(), dark);
  await close();
}

export async function key({ address, chromium, screenshots }) {
  const { page, context, close } = await open(address, chromium);
  const dialog = page.getByRole("dialog", { name: "API key" });
  await dialog.waitFor();
  await page.screenshot({ path: join(screenshots, "key.png") });
  await dialog.getByLabel("Key or token").fill("key-wrong");
  await dialog.getByRole("button", { name: "Use", exact: true }).click();
  await dialog.getByText("Incorrect API key", { exact: false }).waitFor();
  await dialog.getByLabel("Key or token").fill("key-a");
  await page.keyboard.press("Enter");
  await message(page).waitFor();
  await ask(page, "hello");
  await finished(page);
  const kept = await page.evaluate(() => ({ session: sessionStorage.getItem("sluice.key"), local: JSON.stringify(localStorage), cookie: document.cookie, url: location.href, html: document.documentElement.outerHTML }));
  assert.equal(kept.session, "key-a");
  assert.equal(kept.local, "{}");
  assert.equal(kept.cookie, "");
  assert.ok(!kept.url.includes("key-a") && !kept.html.includes("key-a"));
  assert.deepEqual(await context.cookies(), []);
  // The tab that it opens has it too; another one hasn't.
  const [opened] = await Promise.all([context.waitForEvent("page"), lastAnswer(page).getByRole("link", { name: "Open in another tab" }).click()]);
  await opened.getByText("You said hello, as message 1.").waitFor();
  const other = await context.newPage();
  await other.goto(new URL("#now", address).href);
  const otherDialog = other.getByRole("dialog", { name: "API key" });
  await otherDialog.waitFor();
  await otherDialog.getByLabel("Key or token").fill("key-b");
  await other.keyboard.press("Enter");
  await other.getByLabel("Those").selectOption("all");
  // Somebody else's answers are not there.
  await other.getByText("No answers are kept.").waitFor();
  await other.getByRole("button", { name: "Key", exact: true }).click();
  await otherDialog.getByRole("button", { name: "Remove" }).click();
  assert.equal(await other.evaluate(() => sessionStorage.getItem("sluice.key")), null);
  await close();
}

export async function admin({ address, chromium, screenshots, more: [adminAddress] }) {
  const used = await fetch(new URL("v1/chat/completions", address), {
    method: "POST", headers: { "Content-Type": "application/json", Authorization: "Bearer key-a" },
    body: JSON.stringify({ model: "m", messages: [{ role: "user", content: "hello" }] }),
  });
  assert.equal(used.status, 200);
  await used.json();
  const { page, close } = await open(`${adminAddress}/`, chromium, { bypassCSP: true });
  await page.getByLabel("Key or token").fill("key-of-admin");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Answers", exact: true }).waitFor();
  await page.getByLabel("Those").selectOption("all");
  const row = page.locator("tbody tr").first();
  await row.waitFor();
  assert.match(await row.innerText(), /completed\s+m\s+chat\s+a\s/);
  // What an answer says is its owner's.
  assert.equal(await row.getByRole("link").count(), 0);

  await page.getByRole("link", { name: "Keys" }).click();
  await page.getByText("No key has been made yet.", { exact: false }).waitFor();
  await page.getByRole("button", { name: "New key" }).click();
  await page.getByLabel("Name").fill("ci");
  await page.getByLabel("Project").selectOption("search");
  await page.getByLabel("Requests a minute").fill("60");
  await page.getByLabel("Budget").fill("1000");
  await page.getByLabel("Unit").selectOption("tokens");
  await page.getByRole("button", { name: "Create" }).click();
  const secret = await page.locator(".secret").innerText();
  assert.match(secret, /^sk-sl-/);
  await look(page, screenshots, "keys");
  const status = async (bearer) => (await fetch(new URL("v1/models", address), { headers: { Authorization: `Bearer ${bearer}` } })).status;
  const becomes = async (bearer, wanted) => {
    for (let i = 0; i < 100 && (await status(bearer)) !== wanted; i++) await new Promise((done) => setTimeout(done, 100));
    assert.equal(await status(bearer), wanted);
  };
  await becomes(secret, 200);
  await page.getByRole("button", { name: "I have it" }).click();
  const line = page.locator("tbody tr");
  assert.match(await line.innerText(), /ci[\s\S]*live[\s\S]*search[\s\S]*60 requests\/min, 1000 tokens\/month/);
  await page.getByRole("button", { name: "Limits of ci" }).click();
  await page.getByLabel("Requests a minute").fill("30");
  await page.getByRole("button", { name: "Change" }).click();
  await page.getByText("30 requests/min, 1000 tokens/month").waitFor();
  // A day is all that the form knows of the end, and it leaves the end alone where the day is not changed.
  const ofAdmin = { "Content-Type": "application/json", Authorization: "Bearer key-of-admin" };
  const end = 4_102_444_800 + 12_345;
  assert.equal((await fetch(`${adminAddress}/admin/keys/ci`, { method: "POST", headers: ofAdmin, body: JSON.stringify({ expires_at: end }) })).status, 200);
  const expires = async () => (await (await fetch(`${adminAddress}/admin/keys`, { headers: ofAdmin })).json()).keys[0].expires_at;
  await page.getByRole("link", { name: "Now" }).click();
  await page.getByRole("link", { name: "Keys" }).click();
  await page.getByRole("button", { name: "Limits of ci" }).click();
  await page.getByLabel("Requests a minute").fill("20");
  await page.getByRole("button", { name: "Change" }).click();
  await page.getByText("20 requests/min, 1000 tokens/month").waitFor();
  assert.equal(await expires(), end);
  await page.getByRole("button", { name: "Limits of ci" }).click();
  await page.getByLabel("Expires").fill("2100-01-02");
  await page.getByRole("button", { name: "Change" }).click();
  await page.getByText("2100-01-02").waitFor();
  assert.equal(await expires(), 4_102_444_800 + 86_400);
  page.on("dialog", (dialog) => dialog.accept());
  await page.getByRole("button", { name: "New secret of ci" }).click();
  await page.locator(".secret").waitFor();
  const second = await page.locator(".secret").innerText();
  await becomes(second, 200);
  await page.getByRole("button", { name: "Revoke ci" }).click();
  await page.locator("tbody .badge", { hasText: "revoked" }).waitFor();
  await becomes(second, 401);
  assert.equal(await status(secret), 401);

  await page.getByRole("link", { name: "Usage" }).click();
  const usage = page.locator("tbody tr");
  await usage.first().waitFor();
  assert.match(await usage.first().innerText(), /\d{4}-\d\d-\d\d\s+a\s+m\s+1\s+7\s+0\s+3\s+0\.0130/);
  await look(page, screenshots, "usage");
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save as CSV" }).click()]);
  const file = readFileSync(await download.path(), "utf8");
  assert.match(file, /^Day,Key,Model,Requests,Prompt tokens,of them cached,Answer tokens,Cost in dollars\r\n\d{4}-\d\d-\d\d,a,m,1,7,0,3,0\.013\r\n$/);
  // A model's key opens nothing here.
  assert.equal((await fetch(`${adminAddress}/console/api/answers`, { headers: { Authorization: "Bearer key-a" } })).status, 403);
  assert.equal((await fetch(`${adminAddress}/admin/keys`)).status, 401);
  assert.equal((await fetch(new URL("admin/keys", address), { headers: { Authorization: "Bearer key-of-admin" } })).status, 401);
  await close();
}
