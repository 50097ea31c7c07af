// Makes terminal.svg: node docs/images/terminal.mjs PROGRAM, with tmux. It runs `sluice chat` in a terminal of 76 columns, types, looks at the
// screen ten times a second, and writes what changed as the frames of one SVG without scripts.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const columns = 76;
const rows = 20;
const cell = { width: 8.4, height: 18 };
const colors = { 31: "#ff9a9e", 32: "#7fd6a0", 33: "#fbbf24", 36: "#5cc3c9" };
const folder = dirname(fileURLToPath(import.meta.url));
const program = resolve(process.argv[2] ?? "artifacts/bin/Sluice.Cli/release/sluice");
const socket = `sluice-record-${process.pid}`;
const tmux = (...args) => execFileSync("tmux", ["-L", socket, ...args], { encoding: "utf8" });
const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const frames = [];

// A style goes on in the next row.
function withStyles(screen) {
  let active = "";
  return screen.map((row) => {
    const whole = active + row;
    for (const code of row.match(/\x1b\[[0-9;]*m/g) ?? []) active = /\[0?m/.test(code) ? "" : /\[39m/.test(code) ? active.replace(/\x1b\[3[0-9]m/g, "") : active + code;
    return whole;
  });
}

async function watch(seconds, until) {
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end) {
    const screen = withStyles(tmux("capture-pane", "-p", "-e").split("\n").slice(0, rows));
    const cursor = tmux("display-message", "-p", "#{cursor_x} #{cursor_y}").trim();
    const text = JSON.stringify([screen, cursor]);
    if (frames.at(-1)?.text !== text) frames.push({ text, screen, at: Date.now() });
    if (until && until.test(screen.join("\n"))) return;
    await sleep(100);
  }
}

async function type(text) {
  for (const character of text) {
    tmux("send-keys", "-l", character);
    await watch(0.03);
  }
}

const models = join(folder, "..", "..", "models");
tmux("-f", "/dev/null", "new-session", "-d", "-x", String(columns), "-y", String(rows + 1), `env LANG=C.UTF-8 TERM=tmux-256color '${program}' chat --models '${models}' --seed 3 --temperature 0 --max-tokens 80; sleep 5`);
tmux("set-option", "-g", "status", "off");
await watch(20, /> *$/m);
await type("Write a Python function that adds two numbers.");
tmux("send-keys", "Enter");
await watch(30, /tokens, .*\]/);
await watch(1);
await type("/set temperature 0.5");
tmux("send-keys", "Enter");
await watch(1.5);
tmux("send-keys", "C-r");
await watch(0.5);
await type("python");
await watch(1.2);
tmux("send-keys", "Escape");
await watch(0.6);
await type("/stats");
tmux("send-keys", "Enter");
await watch(2.5);
tmux("kill-server");

const escape = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

function line(text, row) {
  let [style, column, out] = ["", 0, ""];
  for (const part of text.split(/(\x1b\[[0-9;]*m)/)) {
    const code = /^\x1b\[([0-9;]*)m$/.exec(part);
    if (code) {
      for (const number of code[1].split(";").map(Number)) {
        if (number === 0 || number === 39) style = number === 0 ? "" : style.replace(/ fill="[^"]*"/, "");
        else if (number === 1) style += ' font-weight="700"';
        else if (number === 2) style += ' opacity="0.6"';
        else if (colors[number]) style += ` fill="${colors[number]}"`;
      }
    } else if (part.trimEnd()) {
      const length = [...part].length;
      out += `<text x="${(12 + column * cell.width).toFixed(1)}" y="${46 + row * cell.height}"${style} xml:space="preserve" textLength="${(length * cell.width).toFixed(1)}">${escape(part)}</text>`;
      column += length;
    } else {
      column += part.length;
    }
  }
  return out;
}

// The last frame stays for a while; a row that doesn't change is drawn once for all the frames that have it.
const start = frames[0].at;
const total = (frames.at(-1).at - start) / 1000 + 3;
const drawn = [];
for (let row = 0; row < rows; row++) {
  let from = 0;
  for (let index = 1; index <= frames.length; index++) {
    if (index < frames.length && frames[index].screen[row] === frames[from].screen[row]) continue;
    const text = line(frames[from].screen[row] ?? "", row);
    const begin = from === 0 ? 0 : (frames[from].at - start) / 1000 / total;
    const end = index === frames.length ? 1 : (frames[index].at - start) / 1000 / total;
    if (text) {
      const values = begin === 0 ? (end === 1 ? "visible" : "visible;hidden") : end === 1 ? "hidden;visible" : "hidden;visible;hidden";
      const times = [0, ...(begin === 0 ? [] : [begin]), ...(end === 1 ? [] : [end])].map((time) => time.toFixed(4)).join(";");
      // Without animation the last frame is what is seen.
      drawn.push(`<g visibility="${end === 1 ? "visible" : "hidden"}"><animate attributeName="visibility" calcMode="discrete" dur="${total.toFixed(2)}s" repeatCount="indefinite" values="${values}" keyTimes="${times}"/>${text}</g>`);
    }
    from = index;
  }
}
const [width, height] = [columns * cell.width + 24, rows * cell.height + 44];
writeFileSync(join(folder, "terminal.svg"), `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width.toFixed(0)} ${height}" font-family="ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14" fill="#e6eceb">
<title>sluice chat in a terminal</title>
<rect width="100%" height="100%" rx="8" fill="#101616"/><circle cx="18" cy="16" r="5" fill="#a4262c"/><circle cx="36" cy="16" r="5" fill="#b45309"/><circle cx="54" cy="16" r="5" fill="#1c6e3c"/>
${drawn.join("\n")}
</svg>
`);
console.log(`${frames.length} frames, ${total.toFixed(1)} s`);
