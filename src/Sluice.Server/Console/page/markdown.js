// Shows Markdown of a model as nodes. Every text of the model becomes a text node; there is no way from it to an element, an attribute
// or an address that this file has not written itself. What isn't understood is shown as it is.

import { button, element } from './dom.js';
import { highlight } from './highlight.js';

const DepthMax = 6;
const LinkMax = 2000;
const SchemesAllowed = new Set(['http:', 'https:', 'mailto:']);
// Characters that reorder those around them: in code they can make a line look like another one.
const Reordering = /[\u202a-\u202e\u2066-\u2069]/g;

const Fence = /^ {0,3}(`{3,}|~{3,})[ \t]*([^`]*)$/;
const Heading = /^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$/;
const Rule = /^ {0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const Quote = /^ {0,3}> ?/;
const Item = /^( {0,8})(?:([-*+])|(\d{1,9})[.)])(?:[ \t]+|$)/;
const TableLine = /^ {0,3}\|?[ \t]*:?-{1,}:?[ \t]*(?:\|[ \t]*:?-{1,}:?[ \t]*)*\|?[ \t]*$/;

/** The address of a link, if it is one that may be followed. */
export function safeAddress(text) {
  // Browsers leave these out of addresses, so that what follows them could be a scheme.
  const cleaned = text.replace(/[\u0000-\u0020\u007f-\u00a0\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]/g, '');
  if (!/^[a-z][a-z0-9+.-]*:/i.test(cleaned)) return null;
  try {
    const url = new URL(cleaned);
    return SchemesAllowed.has(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

function link(address, children) {
  return element('a', { href: address, title: address, rel: 'noopener noreferrer nofollow', target: '_blank', referrerpolicy: 'no-referrer' }, children);
}

/** Texts, code, emphasis and links of one paragraph. One pass; the work grows with the length. */
export function inline(text) {
  const root = document.createDocumentFragment();
  const open = [];
  let plain = '';
  let index = 0;
  const missing = new Set();
  const current = () => (open.length > 0 ? open.at(-1).node : root);
  const flush = () => {
    if (plain) current().append(plain);
    plain = '';
  };
  const marks = { '**': 'strong', __: 'strong', '*': 'em', _: 'em', '~~': 'del' };
  while (index < text.length) {
    const character = text[index];
    if (character === '\\' && index + 1 < text.length && /[!-/:-@[-`{-~]/.test(text[index + 1])) {
      plain += text[index + 1];
      index += 2;
    } else if (character === '`') {
      let length = 1;
      while (text[index + length] === '`') length++;
      const mark = '`'.repeat(length);
      const end = missing.has(length) ? -1 : findRun(text, mark, index + length);
      if (end < 0) {
        missing.add(length);
        plain += mark;
        index += length;
      } else {
        flush();
        let code = text.slice(index + length, end).replaceAll('\n', ' ');
        if (code.length > 2 && code.startsWith(' ') && code.endsWith(' ')) code = code.slice(1, -1);
        current().append(element('code', {}, visible(code)));
        index = end + length;
      }
    } else if (character === '*' || character === '_' || (character === '~' && text[index + 1] === '~')) {
      const mark = text[index + 1] === character ? character + character : character;
      const [before, after] = [text[index - 1] ?? ' ', text[index + mark.length] ?? ' '];
      const isWord = mark[0] === '_' && /[\p{L}\p{N}]/u.test(before) && /[\p{L}\p{N}]/u.test(after);
      const place = open.findLastIndex((entry) => entry.mark === mark);
      if (!isWord && place >= 0 && /\S/.test(before)) {
        flush();
        // What was opened behind it and not closed is text.
        while (open.length - 1 > place) dissolve(open);
        open.pop();
        index += mark.length;
      } else if (!isWord && /\S/.test(after) && open.length < DepthMax) {
        flush();
        const node = element(marks[mark]);
        current().append(node);
        open.push({ mark, node });
        index += mark.length;
      } else {
        plain += mark;
        index += mark.length;
      }
    } else if (character === '[' || (character === '!' && text[index + 1] === '[')) {
      const found = findLink(text, character === '!' ? index + 1 : index);
      const address = found && safeAddress(found.address);
      if (found && address) {
        flush();
        // An image is shown as a link: showing it would tell its server that it was seen, and by whom.
        current().append(link(address, found.label || address));
        index = found.end;
      } else if (found) {
        plain += text.slice(index, found.end);
        index = found.end;
      } else {
        plain += character;
        index++;
      }
    } else if (character === '<' || (character === 'h' && /^https?:\/\//.test(text.slice(index, index + 8)) && !/[\p{L}\p{N}]/u.test(text[index - 1] ?? ' '))) {
      const rest = text.slice(index, index + LinkMax);
      const match = character === '<' ? /^<((?:https?:\/\/|mailto:)[^\s<>]+)>/.exec(rest) : /^https?:\/\/[^\s<>`"']+/.exec(rest);
      const written = match && (character === '<' ? match[1] : match[0].replace(/[.,:;!?)\]}*_~]+$/, ''));
      const address = written && safeAddress(written);
      if (address) {
        flush();
        current().append(link(address, written));
        index += character === '<' ? match[0].length : written.length;
      } else {
        plain += character;
        index++;
      }
    } else if (character === '\n') {
      flush();
      current().append(element('br'));
      index++;
    } else {
      plain += character;
      index++;
    }
  }
  flush();
  while (open.length > 0) dissolve(open);
  return root;
}

// A mark without its other half is text, and what stands behind it isn't special.
function dissolve(open) {
  const { mark, node } = open.pop();
  node.before(mark);
  node.replaceWith(...node.childNodes);
}

function findRun(text, mark, from) {
  for (let end = text.indexOf(mark, from); end >= 0; end = text.indexOf(mark, end)) {
    let length = mark.length;
    while (text[end + length] === '`') length++;
    if (length === mark.length) return end;
    end += length;
  }
  return -1;
}

function findLink(text, start) {
  const window = text.slice(start, start + LinkMax);
  const match = /^\[((?:[^[\]\\]|\\.)*)\]\(\s*(?:<([^<>\n]*)>|([^\s()]*(?:\([^\s()]*\)[^\s()]*)*))(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)/.exec(window);
  return match && { label: match[1].replace(/\\(.)/g, '$1'), address: match[2] ?? match[3], end: start + match[0].length };
}

function visible(code) {
  return code.replace(Reordering, (character) => `[U+${character.codePointAt(0).toString(16).toUpperCase()}]`);
}

function codeBlock(language, text) {
  const shown = visible(text);
  const code = element('code', {}, (text && highlight(shown, language)) || shown);
  const copy = button('Copy', async () => {
    await navigator.clipboard?.writeText(code.textContent);
    copy.textContent = 'Copied';
  }, { class: 'small copy' });
  return {
    node: element('div', { class: 'code' }, element('div', { class: 'code-head' }, element('span', {}, language || 'text'), copy), element('pre', { tabindex: '0' }, code)),
    text: code.firstChild ?? code.appendChild(document.createTextNode('')),
    // Once nothing more comes to it.
    color: () => {
      const nodes = highlight(code.textContent, language);
      if (nodes) code.replaceChildren(...nodes);
    },
  };
}

// Splits lines into blocks: {type, lines, from, …}. A block ends where the next one begins.
function split(lines) {
  const blocks = [];
  let index = 0;
  while (index < lines.length) {
    const line = lines[index];
    const from = index;
    let match;
    if (/^\s*$/.test(line)) {
      index++;
    } else if ((match = Fence.exec(line))) {
      const mark = match[1];
      index++;
      const start = index;
      const isEnd = (text) => text.trim().startsWith(mark) && /^(`+|~+)$/.test(text.trim());
      while (index < lines.length && !isEnd(lines[index])) index++;
      const closed = index < lines.length;
      blocks.push({ type: 'code', language: match[2].trim().split(/\s/)[0], lines: lines.slice(start, index), from, closed });
      if (closed) index++;
    } else if ((match = Heading.exec(line))) {
      blocks.push({ type: 'heading', level: match[1].length, text: match[2] ?? '', from });
      index++;
    } else if (Rule.test(line)) {
      blocks.push({ type: 'rule', from });
      index++;
    } else if (Quote.test(line)) {
      while (index < lines.length && (Quote.test(lines[index]) || (lines[index].trim() && !startsBlock(lines[index])))) index++;
      blocks.push({ type: 'quote', lines: lines.slice(from, index).map((text) => text.replace(Quote, '')), from });
    } else if ((match = Item.exec(line))) {
      index = splitList(lines, from, match, blocks);
    } else if (index + 1 < lines.length && line.includes('|') && lines[index + 1].includes('-') && TableLine.test(lines[index + 1])) {
      index += 2;
      while (index < lines.length && lines[index].includes('|') && lines[index].trim()) index++;
      blocks.push({ type: 'table', lines: lines.slice(from, index), from });
    } else {
      index++;
      while (index < lines.length && lines[index].trim() && !startsBlock(lines[index])) index++;
      blocks.push({ type: 'paragraph', text: lines.slice(from, index).map((text) => text.trim()).join('\n'), from });
    }
  }
  return blocks;
}

function splitList(lines, from, first, blocks) {
  const indent = first[1].length;
  const ordered = first[3] !== undefined;
  const items = [];
  let index = from;
  while (index < lines.length) {
    const match = Item.exec(lines[index]);
    if (!match || match[1].length > indent + 1 || match[1].length < indent || (match[3] !== undefined) !== ordered || Rule.test(lines[index])) break;
    const start = index;
    const width = match[0].length;
    index++;
    while (index < lines.length) {
      const text = lines[index];
      const depth = text.length - text.trimStart().length;
      if (!text.trim()) {
        // A blank line belongs to the item where it goes on behind it.
        const next = lines.slice(index + 1, index + 3).find((line) => line.trim());
        if (next === undefined || next.length - next.trimStart().length <= indent + 1) {
          if (next === undefined || !Item.test(next)) break;
        }
      } else if (depth <= indent + 1 && (startsBlock(text) || !lines[index - 1].trim())) {
        break;
      }
      index++;
    }
    const body = [lines[start].slice(width), ...lines.slice(start + 1, index).map((text) => text.slice(Math.min(width, text.length - text.trimStart().length)))];
    items.push({ lines: body, from: start });
  }
  blocks.push({ type: 'list', ordered, start: ordered ? Number(first[3]) : 1, items, from });
  return Math.max(index, from + 1);
}

function startsBlock(line) {
  return Fence.test(line) || Heading.test(line) || Rule.test(line) || Quote.test(line) || Item.test(line);
}

function cells(line) {
  return line.trim().replace(/^\||\|$/g, '').split('|').map((cell) => cell.trim());
}

function renderItem(item, depth) {
  const inner = split(item.lines);
  const [head, ...rest] = inner;
  if (head?.type === 'paragraph') return element('li', { dir: 'auto' }, inline(head.text), rest.map((block) => render(block, depth + 1)));
  return element('li', { dir: 'auto' }, inner.map((block) => render(block, depth + 1)));
}

function render(block, depth = 0) {
  // Deeper than anybody writes: the text stays.
  if (depth > DepthMax) return element('p', {}, (block.lines ?? block.items?.flatMap((item) => item.lines) ?? [block.text]).join('\n').slice(0, 100_000));
  switch (block.type) {
    case 'code':
      return codeBlock(block.language, block.lines.join('\n')).node;
    case 'heading':
      // Below the page's own headings.
      return element(`h${Math.min(6, block.level + 2)}`, { dir: 'auto' }, inline(block.text));
    case 'rule':
      return element('hr');
    case 'quote':
      return element('blockquote', { dir: 'auto' }, split(block.lines).map((inner) => render(inner, depth + 1)));
    case 'list':
      return element(block.ordered ? 'ol' : 'ul', block.ordered && block.start !== 1 ? { start: block.start } : {}, block.items.map((item) => renderItem(item, depth)));
    case 'table': {
      const [head, , ...rows] = block.lines.map(cells);
      return element('div', { class: 'table', tabindex: '0', role: 'group', 'aria-label': 'Table' }, element('table', {},
        element('thead', {}, element('tr', {}, head.map((cell) => element('th', { scope: 'col', dir: 'auto' }, inline(cell))))),
        element('tbody', {}, rows.map((row) => element('tr', {}, head.map((_, column) => element('td', { dir: 'auto' }, inline(row[column] ?? ''))))))));
    }
    default:
      return element('p', { dir: 'auto' }, inline(block.text));
  }
}

/** All of a text at once. */
export function markdown(text) {
  const view = new MarkdownView();
  view.append(text);
  view.flush();
  return view.root;
}

/**
 * A text that grows. What is complete is rendered once: each flush looks only at the last block, and an open code block only takes what
 * is new, so the work doesn't grow with the length of the answer.
 */
export class MarkdownView {
  root = element('div', { class: 'markdown' });
  #tail = '';
  #last = [];
  #list = null;
  #fence = null;
  #skipped = 0;

  append(text) {
    this.#tail += text.replaceAll('\r\n', '\n');
  }

  flush(isForced = true) {
    // One very long paragraph is looked at as a whole: less often, the longer it is.
    if (!isForced && this.#fence === null && ++this.#skipped < this.#tail.length / 4000) return;
    this.#skipped = 0;
    if (this.#fence !== null && !this.#extendFence()) return;
    for (const node of this.#last) node.remove();
    this.#last = [];
    const lines = this.#tail.split('\n');
    const blocks = split(lines);
    const last = blocks.at(-1);
    for (const block of blocks.slice(0, -1)) this.#commit(block);
    if (last === undefined) return;
    this.#tail = lines.slice(last.from).join('\n');
    if (last.type === 'code' && !last.closed) {
      this.#openFence(last);
    } else if (last.type === 'list') {
      this.#extendList(last);
    } else {
      this.#list = null;
      const node = render(last);
      this.root.append(node);
      this.#last = [node];
    }
  }

  #commit(block) {
    if (block.type === 'list' && this.#continues(block)) this.#list.node.append(...block.items.map((item) => renderItem(item, 0)));
    else this.root.append(render(block));
    this.#list = null;
  }

  #continues(block) {
    return this.#list !== null && this.#list.ordered === block.ordered;
  }

  // Items that are complete stay; the last one may grow.
  #extendList(block) {
    if (!this.#continues(block)) {
      const node = element(block.ordered ? 'ol' : 'ul', block.ordered && block.start !== 1 ? { start: block.start } : {});
      this.root.append(node);
      this.#list = { node, ordered: block.ordered };
    }
    const done = block.items.slice(0, -1);
    const item = block.items.at(-1);
    this.#list.node.append(...done.map((one) => renderItem(one, 0)));
    const node = renderItem(item, 0);
    this.#list.node.append(node);
    this.#last = [node];
    if (done.length > 0) this.#tail = this.#tail.split('\n').slice(item.from - block.from).join('\n');
  }

  #openFence(block) {
    this.#list = null;
    const { node, text, color } = codeBlock(block.language, '');
    this.root.append(node);
    const mark = Fence.exec(this.#tail.split('\n', 1)[0])[1];
    this.#tail = this.#tail.slice(this.#tail.indexOf('\n') + 1 || this.#tail.length);
    this.#fence = { text, mark, color, isEmpty: true };
    this.#extendFence();
  }

  // Takes whole lines of an open code block; whether it has closed. A last line without its end may become the fence.
  #extendFence() {
    const { text, mark } = this.#fence;
    let start = 0;
    let taken = '';
    while (true) {
      const end = this.#tail.indexOf('\n', start);
      if (end < 0) break;
      const line = this.#tail.slice(start, end);
      const trimmed = line.trim();
      if (trimmed.startsWith(mark) && /^(`+|~+)$/.test(trimmed)) {
        this.#take(text, taken);
        this.#tail = this.#tail.slice(end + 1);
        this.#fence.color();
        this.#fence = null;
        return true;
      }
      taken += `${this.#fence.isEmpty && start === 0 ? '' : '\n'}${line}`;
      start = end + 1;
    }
    const rest = this.#tail.slice(start);
    this.#take(text, taken);
    if (start > 0) this.#fence.isEmpty = false;
    this.#tail = rest;
    return false;
  }

  #take(text, taken) {
    if (taken) text.appendData(visible(taken));
  }

  /** Nothing more comes. */
  finish() {
    if (this.#fence !== null) {
      const { text, mark } = this.#fence;
      const line = this.#tail;
      if (line && !(line.trim().startsWith(mark) && /^(`+|~+)$/.test(line.trim()))) this.#take(text, `${this.#fence.isEmpty ? '' : '\n'}${line}`);
      this.#fence.color();
      this.#fence = null;
      this.#tail = '';
      return;
    }
    this.flush();
  }
}
