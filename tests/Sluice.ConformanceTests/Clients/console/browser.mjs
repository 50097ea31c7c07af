// A browser for one case, whose pages may break none of the rules that hold for all of them.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.SLUICE_NODE_MODULES, "here.cjs"));
const { chromium } = require("playwright-core");

export const axePath = require.resolve("axe-core/axe.min.js");

export async function open(address, executablePath, settings = {}) {
  // Debian's has no sandbox for root.
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, acceptDownloads: true, ...settings });
  context.setDefaultTimeout(60_000);
  const problems = [];
  const foreign = [];
  // A 4xx that a case provokes is a line of the browser's own, and no fault of the page.
  const isOwn = (text) => !/Failed to load resource/.test(text);
  context.on("page", (page) => {
    page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
    page.on("console", (message) => message.type() === "error" && isOwn(message.text()) && problems.push(`console: ${message.text()}`));
  });
  context.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith("http") && url.origin !== new URL(address).origin) foreign.push(request.url());
  });
  await context.addInitScript(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => window.violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`));
  });
  const page = await context.newPage();
  await page.goto(address);
  return {
    browser,
    context,
    page,
    async close() {
      for (const one of context.pages()) assert.deepEqual(await one.evaluate(() => window.violations), [], "Content-Security-Policy");
      assert.deepEqual(problems, []);
      assert.deepEqual(foreign, [], "requests to other servers");
      await browser.close();
    },
  };
}

export const message = (page) => page.getByLabel("Message", { exact: true });

export async function ask(page, text) {
  await message(page).fill(text);
  await message(page).press("Enter");
}

export const lastAnswer = (page) => page.locator("li.message.assistant").last();

export const answerText = async (page) => (await lastAnswer(page).locator(".markdown").innerText()).trim();

export async function finished(page, state = "done") {
  await lastAnswer(page).locator(`.state.state-${state}`).waitFor().catch(async (error) => {
    throw new Error(`The answer is not ${state}: ${(await lastAnswer(page).innerText()).slice(0, 500)}`, { cause: error });
  });
}

export async function axe(page, what) {
  const result = await page.evaluate(async () => {
    const found = await window.axe.run(document, { resultTypes: ["violations"] });
    return found.violations.map((violation) => `${violation.impact}: ${violation.id}: ${violation.nodes.map((node) => node.target.join(" ")).join(", ")}`);
  });
  const bad = result.filter((line) => /^(serious|critical)/.test(line));
  assert.deepEqual(bad, [], `axe: ${what}`);
}
