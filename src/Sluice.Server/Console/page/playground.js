// Talks to a model: a conversation that branches, and the answer that runs, which can be stopped, cut off and resumed.

import { address } from './api.js';
import { Answer } from './answer.js';
import { AnswerView } from './answerview.js';
import { Conversation } from './conversation.js';
import { announce, button, complain, element, field } from './dom.js';
import { doorOfPath, doors } from './doors.js';
import { Settings } from './settings.js';
import { languages } from './snippets.js';

const ImageBytesMax = 10 << 20;

// It outlives a look at another page, and a reload: the tab keeps it, up to a size.
const conversation = new Conversation();
const StoredName = 'sluice.conversation';
const StoredCharactersMax = 1 << 20;
let running = null;
// Of the page that is shown: an answer may be asked for on one page and end on another, which shows the same conversation.
let shown = null;
const refresh = () => {
  shown?.refresh();
  save();
};

// Where it is too large without its images too, nothing is kept.
function save() {
  for (const hasImages of [true, false]) {
    const text = JSON.stringify(conversation.save((node) => describe(node, hasImages)));
    if (text.length > StoredCharactersMax) continue;
    try {
      sessionStorage.setItem(StoredName, text);
      return;
    } catch {
      // There is less room than that.
    }
  }
  sessionStorage.removeItem(StoredName);
}

function describe({ role, text, images, results, model, answer }, hasImages) {
  return role === 'assistant' ? { role, model, door: answer.door.id, answer: answer.save() } : { role, text, results, images: hasImages ? images : undefined };
}

function restore() {
  try {
    conversation.restore(JSON.parse(sessionStorage.getItem(StoredName) ?? '{"shown":0,"messages":[]}'), ({ role, text, images, results, model, door, answer: saved }) => {
      if (role !== 'assistant') return { role, text, images, results };
      const answer = track(doors.find((one) => one.id === door));
      if (answer.restore(saved)) {
        running = answer;
        answer.watch(saved.id).catch((failure) => complain(failure.message)).finally(() => {
          if (running === answer && answer.isOver) running = null;
          refresh();
        });
      }
      return { role, model, answer };
    });
  } catch {
    // It was another version's.
    conversation.clear();
  }
}

// An answer whose changes are shown, wherever it is shown.
function track(door) {
  const answer = new Answer(door, () => {
    for (const one of shown?.views ?? []) one.changed();
    if (answer.isOver && running === answer) {
      running = null;
      refresh();
    }
  });
  return answer;
}

restore();
addEventListener('pagehide', save);

/** Shows the playground. */
export function showPlayground(view, hub, query) {
  const watched = query.get('watch');
  if (watched) return watch(view, watched);
  const settings = new Settings(hub);
  const list = element('ol', { class: 'messages', 'aria-label': 'Conversation' });
  const composer = new Composer((text, images) => ask({ role: 'user', text, images }));
  const page = { refresh: draw, ask, views: new Set() };

  function request(messages) {
    const { door, model, system, options } = settings.read();
    return { door, body: door.build({ model, system, messages, options }) };
  }

  function ask(message, behind) {
    if (running) return;
    let wanted;
    try {
      wanted = settings.read();
    } catch (problem) {
      complain(problem.message);
      return;
    }
    complain('');
    const node = message ? conversation.add(message, behind) : behind;
    answerTo(node, wanted);
  }

  async function answerTo(node, wanted) {
    const messages = [...conversation.before(node), node];
    const body = wanted.door.build({ model: wanted.model, system: wanted.system, messages, options: wanted.options });
    const reply = conversation.add({ role: 'assistant', model: wanted.model }, node);
    const answer = track(wanted.door);
    reply.answer = answer;
    running = answer;
    refresh();
    announce('Asked.');
    await answer.ask(body).catch((failure) => complain(failure.message));
    if (running === answer && answer.isOver) running = null;
    announce(answer.state === 'done' ? `The answer is complete: ${answer.text.slice(0, 400)}` : answer.state === 'cut' ? `The connection is cut behind event ${answer.lastEvent}.` : `The answer is ${answer.state}.`);
    refresh();
  }

  function draw() {
    // A control that has the focus keeps it; where it is gone, the next thing to do is to write.
    const active = document.activeElement;
    const focused = list.contains(active) ? active : null;
    page.views.clear();
    list.replaceChildren(...conversation.path.map((node) => entry(node)));
    composer.setBusy(running !== null);
    if (focused) refocus(focused);
  }

  function refocus(node) {
    const name = node.dataset.focus;
    const same = node.isConnected ? node : name ? list.querySelector(`[data-focus="${CSS.escape(name)}"]`) : null;
    same?.focus();
    if (document.activeElement !== same || same === null) composer.focus();
  }

  function entry(node) {
    const { number, count } = conversation.place(node);
    const branches = count > 1
      ? [
          button('‹', () => { conversation.turn(node, -1); refresh(); }, { class: 'small', 'aria-label': 'Branch before', 'data-focus': `before-${node.parent.id}`, disabled: number === 1 || running !== null }),
          element('span', {}, `${number} of ${count}`),
          button('›', () => { conversation.turn(node, 1); refresh(); }, { class: 'small', 'aria-label': 'Branch behind', 'data-focus': `behind-${node.parent.id}`, disabled: number === count || running !== null }),
        ]
      : [];
    if (node.role === 'assistant') {
      const one = node.view ?? (node.view = new AnswerView(node.answer, (results) => shown?.ask({ role: 'tool', results }, node)));
      if (node.answer && !node.answer.isOver) page.views.add(one);
      Object.assign(node, { text: node.answer.text, reasoning: node.answer.reasoning, calls: node.answer.calls.filter(Boolean), raw: node.answer.raw });
      one.setHead(node.model, [...branches, button('Regenerate', () => ask(null, node.parent), { class: 'small', 'data-focus': `again-${node.id}`, disabled: running !== null })]);
      one.setForm(conversation.last === node && running === null);
      return one.node;
    }
    const body = element('div', { class: 'text' });
    const item = element('li', { class: `message ${node.role}` },
      element('div', { class: 'head' }, element('strong', {}, node.role === 'tool' ? 'Results of tools' : 'You'),
        element('span', { class: 'row' }, branches, node.role === 'user' ? button('Edit', () => edit(node, body), { class: 'small', 'data-focus': `edit-${node.id}`, disabled: running !== null }) : null)),
      body);
    if (node.role === 'tool') body.append(...node.results.map((result) => element('div', { class: 'call' }, element('strong', {}, result.name), element('pre', { tabindex: '0' }, result.text))));
    else body.append(element('pre', { dir: 'auto' }, node.text));
    if (node.images?.length) body.append(element('div', { class: 'images' }, node.images.map((url, index) => element('img', { src: url, alt: `Attached image ${index + 1}` }))));
    return item;
  }

  function edit(node, body) {
    const text = element('textarea', { 'aria-label': 'Edited message', value: node.text });
    body.replaceChildren(text, element('div', { class: 'row' },
      button('Send as a branch', () => ask({ role: 'user', text: text.value, images: node.images }, node.parent), { class: 'main' }),
      button('Cancel', refresh, { 'data-focus': `edit-${node.id}` })));
    text.focus();
  }

  const program = new ProgramView(() => request([...conversation.path.filter((node) => node.role !== 'assistant' || node.answer?.isOver), ...composer.draft()]));
  view.append(element('div', { class: 'playground' },
    element('div', {}, list, composer.node, program.node),
    settings.node));
  composer.onclear = () => {
    conversation.clear();
    refresh();
  };
  composer.onstop = () => running?.stop().catch((failure) => complain(failure.message));
  const escape = (event) => {
    if (event.key === 'Escape' && running && !document.querySelector('dialog[open]')) composer.onstop();
  };
  document.addEventListener('keydown', escape);
  shown = page;
  draw();
  return () => {
    document.removeEventListener('keydown', escape);
    if (shown === page) shown = null;
  };
}

// The same answer as in another tab, or one of the list.
function watch(view, path) {
  const door = doorOfPath(path);
  const id = path.slice((door?.path.length ?? 0) + 1);
  if (!door || !id) {
    view.append(element('p', {}, 'This is not the path of an answer.'));
    return;
  }
  let one = null;
  const answer = new Answer(door, () => one?.changed());
  one = new AnswerView(answer, null);
  one.setHead(id, []);
  view.append(element('h2', {}, 'An answer'), element('p', { class: 'note' }, 'Read from its beginning, beside whoever else reads it.'), element('ol', { class: 'messages' }, one.node), element('p', {}, element('a', { href: '#playground' }, 'To the playground')));
  answer.watch(decodeURIComponent(id)).catch((failure) => complain(failure.message));
  return () => {
    if (!answer.isOver) answer.cut();
  };
}

class Composer {
  #text = element('textarea', { id: 'message', rows: '3', placeholder: 'Ask something', 'aria-describedby': 'message-note' });
  #images = [];
  #shown = element('div', { class: 'images' });
  #file = element('input', { type: 'file', accept: 'image/png,image/jpeg,image/gif,image/webp', multiple: true, id: 'images' });
  #send = element('button', { type: 'submit', class: 'main' }, 'Send');
  #stop = button('Stop', () => this.onstop(), { hidden: true });
  onclear = () => {};
  onstop = () => {};

  constructor(ask) {
    const submit = () => {
      const text = this.#text.value.trim();
      if (!text || this.#send.disabled) return;
      const images = this.#images;
      this.#text.value = '';
      this.#images = [];
      this.#shown.replaceChildren();
      this.#file.value = '';
      ask(text, images);
    };
    this.#text.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      submit();
    });
    this.#file.addEventListener('change', () => this.#load());
    this.node = element('form', { class: 'composer panel', onsubmit: (event) => { event.preventDefault(); submit(); } },
      element('label', { for: 'message' }, 'Message'), this.#text,
      element('p', { class: 'note', id: 'message-note' }, 'Enter sends, Shift+Enter begins a line, Escape stops.'),
      this.#shown,
      element('div', { class: 'row' },
        this.#send, this.#stop,
        element('label', { for: 'images', class: 'quiet' }, 'Images'), this.#file,
        button('New conversation', () => this.onclear(), { class: 'end', id: 'clear' })));
  }

  draft() {
    const text = this.#text.value.trim();
    return text ? [{ role: 'user', text, images: this.#images }] : [];
  }

  focus() {
    this.#text.focus();
  }

  setBusy(isBusy) {
    const active = document.activeElement;
    this.#send.disabled = isBusy;
    this.#stop.hidden = !isBusy;
    // A button that hides or is turned off would take the focus along.
    if (active === this.#stop || active === this.#send) this.focus();
    this.node.querySelector('#clear').disabled = isBusy;
  }

  async #load() {
    this.#images = [];
    for (const file of this.#file.files) {
      if (file.size > ImageBytesMax) {
        complain(`${file.name} is larger than 10 MiB.`);
        continue;
      }
      const reader = new FileReader();
      reader.readAsDataURL(file);
      await new Promise((done) => (reader.onloadend = done));
      if (reader.result) this.#images.push(reader.result);
    }
    this.#shown.replaceChildren(...this.#images.map((url, index) => element('img', { src: url, alt: `Image ${index + 1} to send` })));
  }
}

class ProgramView {
  #text = element('pre', { tabindex: '0', 'aria-label': 'The request as a program' });
  #select = element('select', {}, languages.map((language) => element('option', { value: language.id }, language.title)));

  constructor(request) {
    const draw = () => {
      try {
        const { door, body } = request();
        const origin = address('/').href.replace(/\/$/, '');
        this.#text.textContent = languages.find((language) => language.id === this.#select.value).write(door, body, origin);
      } catch (problem) {
        this.#text.textContent = problem.message;
      }
    };
    this.#select.addEventListener('change', draw);
    const details = element('details', { class: 'panel program' }, element('summary', {}, 'The request as a program'),
      field('Language', this.#select), this.#text,
      button('Copy', () => navigator.clipboard?.writeText(this.#text.textContent), { class: 'small' }));
    details.addEventListener('toggle', () => details.open && draw());
    document.addEventListener('sluice:settings', () => details.open && draw());
    this.node = details;
  }
}
