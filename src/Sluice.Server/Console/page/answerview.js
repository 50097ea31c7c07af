// Shows an answer as it comes: its text, reasoning and calls, and what is measured of it. However many events come, it draws once a frame.

import { button, complain, element } from './dom.js';
import { MarkdownView } from './markdown.js';
import { count, GapPlot, seconds } from './plot.js';

const Words = {
  waiting: 'waits for the first token', streaming: 'streams', cut: 'connection cut', reconnecting: 'reconnects', done: 'complete', stopped: 'stopped', failed: 'failed',
};

export class AnswerView {
  #answer;
  #markdown = new MarkdownView();
  #shownText = 0;
  #shownReasoning = 0;
  #reasoning = element('pre', { dir: 'auto' });
  #reasoningBox = element('details', { class: 'reasoning', hidden: true }, element('summary', {}, 'Reasoning'), this.#reasoning);
  #calls = element('div');
  #callTexts = [];
  #form = element('div');
  #head = element('div', { class: 'head' });
  #state = element('span', { class: 'state' });
  #figures = element('span');
  #error = element('p', { class: 'state-failed', hidden: true });
  #plot = new GapPlot();
  #cut = button('Cut the connection', () => this.#answer.cut(), { class: 'small' });
  #resume = button('Resume', () => this.#answer.resume().catch((failure) => complain(failure.message)), { class: 'small main', hidden: true });
  #stop = button('Stop', () => this.#answer.stop().catch((failure) => complain(failure.message)), { class: 'small' });
  #tab = element('a', { target: '_blank', rel: 'opener', hidden: true }, 'Open in another tab');
  #frame = 0;
  #isFinished = false;
  #sendResults;

  constructor(answer, sendResults) {
    this.#answer = answer;
    this.#sendResults = sendResults;
    this.node = element('li', { class: 'message assistant', tabindex: '-1' },
      this.#head, this.#reasoningBox, this.#markdown.root, this.#calls, this.#error, this.#plot.node,
      element('div', { class: 'foot' }, this.#state, this.#figures, element('span', { class: 'row' }, this.#stop, this.#cut, this.#resume, this.#tab)),
      this.#form);
    this.changed();
  }

  setHead(title, tools) {
    this.#head.replaceChildren(element('strong', {}, title), element('span', {}, this.#answer.door.title), element('span', { class: 'row' }, tools));
  }

  /** Something has come. */
  changed() {
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#draw());
  }

  /** Whether the form for results of tools is shown. */
  setForm(isShown) {
    const calls = this.#answer.calls.filter(Boolean);
    if (!isShown || !this.#sendResults || calls.length === 0 || this.#answer.state !== 'done') {
      this.#form.replaceChildren();
      return;
    }
    if (this.#form.childElementCount > 0) return;
    const texts = calls.map((call, index) => element('textarea', { id: `result-${this.#answer.id}-${index}`, rows: '2', class: 'code-text' }));
    this.#form.replaceChildren(element('form', {
      onsubmit: (event) => {
        event.preventDefault();
        this.#sendResults(calls.map((call, index) => ({ id: call.id, name: call.name, text: texts[index].value })));
      },
    },
    calls.map((call, index) => element('div', { class: 'field' }, element('label', { for: texts[index].id }, `Result of ${call.name}`), texts[index])),
    element('button', { type: 'submit', class: 'main' }, calls.length === 1 ? 'Send the result' : 'Send the results')));
  }

  #draw() {
    this.#frame = 0;
    const answer = this.#answer;
    if (answer.reasoning.length > this.#shownReasoning) {
      this.#reasoningBox.hidden = false;
      this.#reasoning.append(answer.reasoning.slice(this.#shownReasoning));
      this.#shownReasoning = answer.reasoning.length;
    }
    if (answer.text.length > this.#shownText) {
      this.#markdown.append(answer.text.slice(this.#shownText));
      this.#shownText = answer.text.length;
      this.#markdown.flush(false);
    }
    answer.calls.filter(Boolean).forEach((call, index) => {
      const text = (this.#callTexts[index] ??= this.#addCall(call));
      if (text.data !== call.arguments) text.data = call.arguments;
    });
    if (answer.isOver && !this.#isFinished) {
      this.#isFinished = true;
      this.#markdown.finish();
    }
    const isRunning = !answer.isOver;
    const focused = [this.#stop, this.#cut, this.#resume].find((one) => one === document.activeElement);
    this.#stop.hidden = !isRunning;
    this.#cut.hidden = !isRunning || answer.state === 'cut' || answer.id === null;
    this.#resume.hidden = answer.state !== 'cut';
    this.#tab.hidden = answer.path === null;
    if (answer.path !== null && !this.#tab.hasAttribute('href')) this.#tab.setAttribute('href', `#playground?watch=${encodeURIComponent(answer.path)}`);
    // A button that hides hands the focus on to what can be done next.
    if (focused?.hidden) ([this.#resume, this.#cut, this.#tab].find((one) => !one.hidden) ?? this.node).focus();
    this.#state.textContent = this.#describeState();
    this.#state.className = `state state-${answer.state}${answer.state === 'waiting' || answer.state === 'reconnecting' ? ' waiting' : ''}`;
    this.#figures.textContent = this.#describeFigures();
    this.#error.hidden = answer.error === null;
    this.#error.textContent = answer.error ?? '';
    this.#plot.node.hidden = answer.gaps.length < 2;
    if (answer.gaps.length >= 2) this.#plot.draw(answer.gaps);
  }

  #addCall(call) {
    const text = document.createTextNode('');
    this.#calls.append(element('div', { class: 'call' }, element('strong', {}, call.name || 'Call of a tool'), element('pre', { tabindex: '0' }, text)));
    return text;
  }

  #describeState() {
    const answer = this.#answer;
    if (answer.state === 'cut') return `connection cut behind event ${answer.lastEvent}; the hub goes on`;
    const reason = answer.state === 'done' && answer.finish && answer.finish !== 'stop' ? ` (${answer.finish})` : '';
    const resumed = answer.resumedAt.length > 0 ? `, resumed behind event ${answer.resumedAt.join(', ')}` : '';
    return Words[answer.state] + reason + resumed;
  }

  #describeFigures() {
    const answer = this.#answer;
    const parts = [];
    if (answer.firstToken !== null) parts.push(`first token ${seconds(answer.firstToken)}`);
    if (answer.rate !== null) parts.push(`${answer.rate.toFixed(1)} tokens/s`);
    if (answer.usage?.output) parts.push(`${count(answer.usage.input)} + ${count(answer.usage.output)} tokens`);
    else if (answer.contentCount > 0) parts.push(`${count(answer.contentCount)} pieces`);
    parts.push(`${count(answer.lastEvent)} events`);
    return parts.join(' · ');
  }
}
