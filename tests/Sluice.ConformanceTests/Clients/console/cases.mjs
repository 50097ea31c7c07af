// The playground: chat, stop, cut and resume, tools, tabs, branches, settings, hostile answers, ten thousand tokens.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { answerText, ask, finished, lastAnswer, message, open } from "./browser.mjs";

const counted = Array.from({ length: 80 }, (_, index) => `w${index + 1}`).join(" ");
const doors = ["chat", "responses", "messages"];

async function choose(page, door) {
  await page.getByLabel("Door").selectOption(door);
}

export async function chat({ address, chromium }) {
  const { page, close } = await open(address, chromium);
  for (const door of doors) {
    await choose(page, door);
    await ask(page, "count");
    // It is shown while it comes.
    await page.waitForFunction(() => document.querySelector(".markdown")?.innerText.includes("w3"));
    assert.equal(await lastAnswer(page).locator(".state-done").count(), 0);
    await finished(page);
    assert.equal(await answerText(page), counted, door);
    const foot = await lastAnswer(page).locator(".foot").innerText();
    assert.match(foot, /first token .*(ms|s) · [\d.]+ tokens\/s · 7 \+ 3 tokens · \d+ events/);
    assert.ok(await lastAnswer(page).locator(".gap-plot path.gaps").getAttribute("d"));
    await ask(page, "again");
    await finished(page);
    assert.equal(await answerText(page), "You said again, as message 3.");
    assert.equal(await lastAnswer(page).locator("strong", { hasText: "again" }).count(), 1);
    await page.getByRole("button", { name: "New conversation" }).click();
  }
  await ask(page, "reason");
  await finished(page);
  const reasoning = lastAnswer(page).locator("details.reasoning");
  assert.equal(await reasoning.evaluate((node) => node.open), false);
  await reasoning.locator("summary").click();
  assert.equal(await reasoning.locator("pre").innerText(), "I think of it.");
  // What a screen reader is told, once.
  assert.match(await page.locator("#status").innerText(), /The answer is complete: So it is\./);
  await close();
}

export async function stop({ address, chromium }) {
  const { page, close } = await open(address, chromium);
  for (const door of doors) {
    await choose(page, door);
    await ask(page, "count");
    await page.waitForFunction(() => [...document.querySelectorAll(".markdown")].at(-1)?.innerText.includes("w3"));
    if (door === "chat") await page.keyboard.press("Escape");
    else await lastAnswer(page).getByRole("button", { name: "Stop" }).click();
    await finished(page, "stopped");
    assert.ok(counted.startsWith((await answerText(page)).slice(0, -1)));
    assert.notEqual(await answerText(page), counted);
  }
  const listed = await (await fetch(new URL("console/api/answers", address))).json();
  assert.deepEqual(listed.answers.map((answer) => answer.state), ["cancelled", "cancelled", "cancelled"]);
  // The next question can be asked.
  await ask(page, "hello");
  await finished(page);
  await close();
}

export async function cut({ address, chromium }) {
  const { page, close } = await open(address, chromium);
  for (const door of doors) {
    await choose(page, door);
    await ask(page, "count");
    for (const word of ["w3", "w20"]) {
      await page.waitForFunction((wanted) => [...document.querySelectorAll(".markdown")].at(-1)?.innerText.includes(wanted), word);
      await lastAnswer(page).getByRole("button", { name: "Cut the connection" }).click();
      await finished(page, "cut");
      const state = await lastAnswer(page).locator(".state").innerText();
      const at = Number(/behind event (\d+)/.exec(state)[1]);
      // The hub goes on, and the page doesn't hear of it.
      const before = await answerText(page);
      await page.waitForTimeout(200);
      assert.equal(await answerText(page), before);
      const sent = page.waitForRequest((request) => request.headers()["last-event-id"] !== undefined);
      await lastAnswer(page).getByRole("button", { name: "Resume" }).click();
      assert.match((await sent).headers()["last-event-id"], new RegExp(`:${at}$`));
    }
    await finished(page);
    // Nothing is missing and nothing is there twice.
    assert.equal(await answerText(page), counted, door);
    assert.match(await lastAnswer(page).locator(".state").innerText(), /resumed behind event \d+, \d+/);
  }
  // A network that fails by itself is resumed by itself.
  const client = await page.context().newCDPSession(page);
  await client.send("Network.enable");
  await choose(page, "chat");
  await ask(page, "count");
  await page.waitForFunction(() => [...document.querySelectorAll(".markdown")].at(-1)?.innerText.includes("w3"));
  await client.send("Network.emulateNetworkConditions", { offline: true, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
  await page.waitForTimeout(300);
  await client.send("Network.emulateNetworkConditions", { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
  await finished(page);
  assert.equal(await answerText(page), counted);
  await close();
}

export async function tools({ address, chromium }) {
  const { page, close } = await open(address, chromium);
  await page.getByText("Tools", { exact: true }).click();
  const tool = { name: "get_weather", parameters: { type: "object", properties: { city: { type: "string" } } } };
  await page.getByLabel("Functions, as JSON").fill(JSON.stringify([tool]));
  for (const door of doors) {
    await choose(page, door);
    const [request] = await Promise.all([page.waitForRequest((one) => one.method() === "POST"), ask(page, "tools")]);
    assert.ok(JSON.stringify(request.postDataJSON().tools).includes("get_weather"));
    await finished(page);
    assert.equal(await lastAnswer(page).locator(".call pre").innerText(), '{"city":"Bern"}');
    await page.getByLabel("Result of get_weather").fill("sunny, 21 °C");
    await page.getByRole("button", { name: "Send the result" }).click();
    await page.locator(".markdown", { hasText: "The tool said: sunny, 21 °C" }).waitFor();
    await finished(page);
    await page.getByRole("button", { name: "New conversation" }).click();
  }
  await page.getByLabel("Functions, as JSON").fill("[{");
  await ask(page, "x");
  assert.match(await page.getByRole("alert").innerText(), /The tools are not valid JSON/);
  await close();
}

export async function tabs({ address, chromium }) {
  const { page, context, close } = await open(address, chromium);
  for (const door of doors) {
    await choose(page, door);
    await ask(page, "count");
    await page.waitForFunction(() => [...document.querySelectorAll(".markdown")].at(-1)?.innerText.includes("w3"));
    const [other] = await Promise.all([context.waitForEvent("page"), lastAnswer(page).getByRole("link", { name: "Open in another tab" }).click()]);
    await other.waitForFunction(() => document.querySelector(".markdown")?.innerText.includes("w3"));
    await Promise.all([finished(page), finished(other)]);
    assert.equal(await answerText(page), counted);
    assert.equal(await answerText(other), counted);
    await other.close();
  }
  await close();
}

export async function branches({ address, chromium }) {
  const { page, close } = await open(address, chromium);
  await ask(page, "one");
  await finished(page);
  await ask(page, "two");
  await finished(page);
  await page.getByRole("button", { name: "Edit" }).first().click();
  await page.getByLabel("Edited message").fill("uno");
  await page.getByRole("button", { name: "Send as a branch" }).click();
  await page.getByText("You said uno, as message 1.").waitFor();
  await finished(page);
  assert.equal(await page.locator("li.message").count(), 2);
  assert.match(await page.locator("li.message").first().innerText(), /2 of 2/);
  await page.getByRole("button", { name: "Branch before" }).click();
  assert.equal(await page.locator("li.message").count(), 4);
  assert.equal(await answerText(page), "You said two, as message 3.");
  await page.getByRole("button", { name: "Regenerate" }).last().click();
  await finished(page);
  assert.match(await lastAnswer(page).innerText(), /2 of 2/);
  // A look at another page loses nothing.
  await page.getByRole("link", { name: "Now" }).click();
  await page.getByRole("heading", { name: "Your answers" }).waitFor();
  await page.getByRole("link", { name: "Playground" }).click();
  assert.equal(await page.locator("li.message").count(), 4);
  await close();
}

export async function settings({ address, chromium }) {
  const { page, close } = await open(address, chromium);
  for (const summary of ["System text", "Parameters", "JSON schema", "Anything else"]) await page.getByText(summary, { exact: true }).click();
  await page.getByLabel("Comes before the conversation").fill("Be brief.");
  await page.getByLabel("Temperature").fill("0.5");
  await page.getByLabel("Top p").fill("0.9");
  await page.getByLabel("Tokens at most").fill("99");
  await page.getByLabel("Stop texts").fill("END, FIN");
  await page.getByLabel("The answer follows it").fill('{"type":"object"}');
  await page.getByLabel("More members of the request, as JSON").fill('{"user":"me"}');
  const png = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");
  const seen = {};
  for (const door of doors) {
    await choose(page, door);
    await page.getByLabel("Images", { exact: true }).setInputFiles({ name: "a.png", mimeType: "image/png", buffer: png });
    await page.getByAltText("Image 1 to send").waitFor();
    const [request] = await Promise.all([page.waitForRequest((one) => one.method() === "POST"), ask(page, "it's \"quoted\" $HOME `x` \\ é")]);
    seen[door] = request.postDataJSON();
    await finished(page);
    assert.match(await answerText(page), /with 1 image/);
    await page.getByRole("button", { name: "New conversation" }).click();
  }
  assert.equal(seen.chat.messages[0].content, "Be brief.");
  assert.deepEqual([seen.chat.temperature, seen.chat.top_p, seen.chat.max_completion_tokens, seen.chat.user], [0.5, 0.9, 99, "me"]);
  assert.deepEqual(seen.chat.stop, ["END", "FIN"]);
  assert.deepEqual(seen.chat.response_format.json_schema.schema, { type: "object" });
  assert.equal(seen.responses.instructions, "Be brief.");
  assert.deepEqual([seen.responses.max_output_tokens, seen.responses.text.format.type], [99, "json_schema"]);
  assert.equal(seen.messages.system, "Be brief.");
  assert.deepEqual([seen.messages.max_tokens, seen.messages.stop_sequences, seen.messages.output_config.format.type], [99, ["END", "FIN"], "json_schema"]);

  // The request as a program does what the page does.
  await choose(page, "chat");
  await message(page).fill("it's \"quoted\" $HOME `x` \\ é");
  await page.getByText("The request as a program", { exact: true }).click();
  const program = page.locator("details.program pre");
  const texts = {};
  for (const language of ["curl", "python", "javascript", "csharp"]) {
    await page.getByLabel("Language").selectOption(language);
    texts[language] = await program.innerText();
  }
  assert.match(execFileSync("bash", ["-c", texts.curl], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }), /it.{1,6}s .{1,8}quoted.{1,8} \$HOME .{1,6}x.{1,6} .{1,8} (é|\\u00[eE]9)/);
  execFileSync("python3", ["-c", "import ast, sys; ast.parse(sys.stdin.read())"], { input: texts.python });
  execFileSync(process.execPath, ["--input-type=module", "--check"], { input: texts.javascript });
  assert.ok(texts.csharp.includes('"""') && texts.csharp.includes("Be brief."));
  // The settings are the tab's, the text of a conversation is nobody's.
  await page.reload();
  assert.equal(await page.getByLabel("Door").inputValue(), "chat");
  assert.equal(await page.evaluate(() => localStorage.length), 0);
  await close();
}

export async function hostile({ address, chromium }) {
  const { page, close } = await open(address, chromium);
  await ask(page, "hostile");
  await finished(page);
  const found = await lastAnswer(page).locator(".markdown").evaluate((root) => ({
    names: [...new Set([...root.querySelectorAll("*")].map((node) => node.localName))].sort(),
    attributes: [...new Set([...root.querySelectorAll("*")].flatMap((node) => node.getAttributeNames()))].sort(),
    links: [...root.querySelectorAll("a")].map((link) => [link.protocol, link.rel, link.target]),
    text: root.textContent,
  }));
  const allowed = ["a", "blockquote", "br", "button", "code", "del", "div", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"];
  assert.deepEqual(found.names.filter((name) => !allowed.includes(name)), []);
  assert.deepEqual(found.attributes.filter((name) => !["aria-label", "class", "dir", "href", "referrerpolicy", "rel", "role", "scope", "start", "tabindex", "target", "title", "type"].includes(name)), []);
  assert.ok(found.links.length >= 4, JSON.stringify(found.links));
  for (const [protocol, rel, target] of found.links) {
    assert.ok(["https:", "mailto:"].includes(protocol), protocol);
    assert.match(rel, /noopener/);
    assert.equal(target, "_blank");
  }
  // It is all there, as text.
  for (const part of ["<script>window.pwned = 1</script>", "javascript:window.pwned=5", "<script>window.pwned=15</script>", "[U+202E]", "end of hostile"]) assert.ok(found.text.includes(part), part);
  for (const link of await lastAnswer(page).locator(".markdown a").all()) await link.hover({ force: true, timeout: 2000 }).catch(() => {});
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  // The same text when it is there at once: the tab of a complete answer.
  const href = await lastAnswer(page).getByRole("link", { name: "Open in another tab" }).getAttribute("href");
  await page.goto(new URL(href, address).href);
  await finished(page);
  const again = await lastAnswer(page).locator(".markdown").evaluate((root) => root.textContent);
  assert.equal(again, found.text);
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  await close();
}

export async function jank({ address, chromium }) {
  const { page, close } = await open(address, chromium);
  const client = await page.context().newCDPSession(page);
  await client.send("Performance.enable");
  const metric = async (name) => (await client.send("Performance.getMetrics")).metrics.find((one) => one.name === name).value;
  await page.evaluate(() => {
    window.frames_ = { count: 0, drawn: 0 };
    let isChanged = false;
    let turns = 0;
    // How often the answer is changed, and in how many frames: one turn of changes for each, however many tokens came.
    new MutationObserver(() => { turns++; isChanged = true; }).observe(document.getElementById("view"), { childList: true, characterData: true, subtree: true });
    const tick = () => {
      window.frames_.count++;
      if (isChanged) window.frames_.drawn++;
      isChanged = false;
      window.frames_.turns = turns;
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  });
  const layoutsBefore = await metric("LayoutCount");
  await ask(page, "long");
  await finished(page);
  const layouts = (await metric("LayoutCount")) - layoutsBefore;
  const frames = await page.evaluate(() => window.frames_);
  console.log(JSON.stringify({ layouts, ...frames }));
  const text = await lastAnswer(page).locator(".markdown").evaluate((root) => root.textContent);
  for (const number of [1, 5001, 9999]) assert.ok(text.includes(`word${number}`), `word${number}`);
  // Ten thousand pieces are drawn by the frame, and the browser lays out no more than once for each; some turns are of the page around it.
  assert.ok(frames.turns <= frames.count + 20, `${frames.turns} turns of changes in ${frames.count} frames`);
  assert.ok(layouts <= 2 * frames.count + 20, `${layouts} layouts in ${frames.count} frames`);
  assert.ok(frames.drawn > 10, `${frames.drawn} frames with something new`);
  await close();
}

export async function now({ address, chromium }) {
  const { page, context, close } = await open(address, chromium);
  await ask(page, "hello");
  await finished(page);
  await ask(page, "count");
  await page.waitForFunction(() => [...document.querySelectorAll(".markdown")].at(-1)?.innerText.includes("w3"));
  // Another tab of a hub without keys sees that it runs, and can neither read nor end it.
  const stranger = await context.newPage();
  await stranger.goto(new URL("#now", address).href);
  await stranger.locator("tbody tr").first().waitFor();
  assert.match(await stranger.locator("tbody tr").first().innerText(), /running\s+m\s+chat\s+1\s/);
  assert.equal(await stranger.locator("tbody").getByRole("button").count() + await stranger.locator("tbody").getByRole("link").count(), 0);
  await stranger.close();
  const other = page;
  await page.getByRole("link", { name: "Now" }).click();
  const row = other.locator("tbody tr");
  await row.first().waitFor();
  await row.first().getByRole("button", { name: "Cancel" }).click();
  await other.getByText("Nothing runs, and nothing is suspended.").waitFor();
  await other.getByLabel("Those").selectOption("all");
  await other.getByText("completed").waitFor();
  assert.equal(await row.count(), 2);
  const card = other.locator("section.panel", { hasText: "gaps: median" });
  await card.waitFor();
  assert.match(await card.innerText(), /requests\s+2\s+errors\s+0\s/);
  assert.ok((await card.locator("svg.plot").count()) >= 3);
  assert.match(await other.locator("section.panel", { hasText: "attempts a minute" }).innerText(), /closed[\s\S]*attempts\s+[12]\s/);
  await row.last().getByRole("link", { name: "Open" }).click();
  await other.getByText("You said hello, as message 1.").waitFor();
  await close();
}

export async function policy({ address, chromium }) {
  const { page, browser, close } = await open(address, chromium);
  await message(page).waitFor();
  await close();
  // Beside the page's own code, what the browser is told to refuse.
  const again = await open(address, chromium);
  const outcome = await again.page.evaluate(async () => {
    const results = {};
    try {
      document.createElement("div").innerHTML = "<b>x</b>";
      results.html = "allowed";
    } catch (error) {
      results.html = error.name;
    }
    const script = document.createElement("script");
    script.append("window.inline = 1");
    try {
      document.head.append(script);
    } catch {
      // Trusted Types refuse it too.
    }
    results.inline = window.inline ?? "refused";
    results.fetch = await fetch("http://127.0.0.1:9/").then(() => "allowed", () => "refused");
    results.attribute = (() => { const node = document.createElement("div"); node.setAttribute("style", "color: red"); document.body.append(node); return getComputedStyle(node).color; })();
    return results;
  });
  assert.equal(outcome.html, "TypeError");
  assert.equal(outcome.inline, "refused");
  assert.equal(outcome.fetch, "refused");
  assert.notEqual(outcome.attribute, "rgb(255, 0, 0)");
  await again.browser.close();
  assert.ok(browser);
}
