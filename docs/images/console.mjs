// Makes console.png: node docs/images/console.mjs ADDRESS, with a hub at the address that serves the model of the repository, Debian's
// chromium (or SLUICE_CHROMIUM), and playwright-core in the node_modules folder that SLUICE_NODE_MODULES names.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const { chromium } = createRequire(join(process.env.SLUICE_NODE_MODULES, "here.cjs"))("playwright-core");
const browser = await chromium.launch({ executablePath: process.env.SLUICE_CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: 1180, height: 720 } });
await page.goto(process.argv[2]);
await page.getByText("Parameters", { exact: true }).click();
await page.getByLabel("Temperature").fill("0");
await page.getByLabel("Tokens at most").fill("120");
await page.getByLabel("Message", { exact: true }).fill("Write a Python function that adds two numbers.");
await page.keyboard.press("Enter");
await page.waitForFunction(() => document.querySelector(".markdown")?.innerText.length > 100);
await page.getByRole("button", { name: "Cut the connection" }).click();
await page.getByRole("button", { name: "Resume" }).click();
await page.locator(".state-done").waitFor();
await page.evaluate(() => window.scrollTo(0, 0));
await page.screenshot({ path: join(dirname(fileURLToPath(import.meta.url)), "console.png") });
await browser.close();
