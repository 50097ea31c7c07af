// One answer of the hub, as this page reads it. The answer belongs to the hub: a connection that is cut takes nothing from it, and the page
// resumes behind the last event that it has.

import { Refusal, send } from './api.js';
import { remember } from './known.js';
import { readEvents } from './sse.js';

const AttemptsMax = 12;
const PauseFirst = 100;
const PauseMax = 5000;
const GapsMax = 4000;

/**
 * States: `waiting` for the first event, `streaming`, `cut` by hand, `reconnecting`, and at the end `done`, `stopped` or `failed`. `changed`
 * is called after each piece that comes and each change of state.
 */
export class Answer {
  state = 'waiting';
  text = '';
  reasoning = '';
  calls = [];
  raw = [];
  usage = null;
  finish = null;
  cancelled = false;
  error = null;
  id = null;
  /** Events that the page has. */
  lastEvent = 0;
  resumedAt = [];
  startedAt = performance.now();
  firstAt = null;
  lastAt = null;
  endedAt = null;
  /** Milliseconds between two pieces of content. */
  gaps = [];
  contentCount = 0;
  repeatedEvents = 0;

  #door;
  #changed;
  #abort = null;
  #slots = new Map();
  #key = null;
  #isStopping = false;

  constructor(door, changed) {
    this.#door = door;
    this.#changed = changed;
  }

  get door() {
    return this.#door;
  }

  get isOver() {
    return this.state === 'done' || this.state === 'stopped' || this.state === 'failed';
  }

  get path() {
    return this.id === null ? null : `${this.#door.path}/${encodeURIComponent(this.id)}`;
  }

  /** Seconds to the first content; null before it. */
  get firstToken() {
    return this.firstAt === null ? null : (this.firstAt - this.startedAt) / 1000;
  }

  /** Tokens a second behind the first content; null where there are too few to say. */
  get rate() {
    if (this.firstAt === null || this.lastAt <= this.firstAt) return null;
    const tokens = this.usage?.output || this.contentCount;
    return tokens > 1 ? (tokens - 1) / ((this.lastAt - this.firstAt) / 1000) : null;
  }

  addText(text) {
    if (!text) return;
    this.text += text;
    this.#content();
  }

  addReasoning(text) {
    if (!text) return;
    this.reasoning += text;
    this.#content();
  }

  addArguments(call, text) {
    call.arguments += text;
    if (text) this.#content();
  }

  /** Calls in a row, whatever number an API gives them among other parts. */
  slot(index) {
    if (!this.#slots.has(index)) this.#slots.set(index, this.#slots.size);
    return this.#slots.get(index);
  }

  /** What is kept of it in the tab. */
  save() {
    const { id, state, text, reasoning, calls, raw, usage, finish, cancelled, error, lastEvent, resumedAt, contentCount } = this;
    const after = (time) => (time === null ? null : time - this.startedAt);
    return { id, state, text, reasoning, calls, raw, usage, finish, cancelled, error, lastEvent, resumedAt, contentCount, first: after(this.firstAt), last: after(this.lastAt), ended: after(this.endedAt) };
  }

  /** The opposite of `save`. One that ran is read again from its beginning: the hub has it. Whether that has to be done. */
  restore({ first, last, ended, ...saved }) {
    if (!['done', 'stopped', 'failed'].includes(saved.state)) {
      this.id = saved.id;
      if (saved.id !== null) return true;
      this.error = 'The page was left before the answer began.';
      this.#end('failed');
      return false;
    }
    Object.assign(this, saved, { startedAt: 0, firstAt: first, lastAt: last, endedAt: ended });
    return false;
  }

  /** Asks for it; comes back when this page reads no more. */
  async ask(body) {
    this.#key = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
    await this.#run((signal) =>
      send(this.#door.path, { method: 'POST', body, signal, headers: { 'Idempotency-Key': this.#key, 'Sluice-Event-Ids': '1' } }));
  }

  /** Reads one that is there, from its beginning. */
  async watch(id) {
    this.id = id;
    await this.#run((signal) => this.#open(signal));
  }

  /** Breaks the connection off, as a network would. */
  cut() {
    this.state = 'cut';
    this.#abort?.abort();
    this.#changed();
  }

  /** Goes on behind the last event. */
  async resume() {
    if (this.state !== 'cut') return;
    this.state = 'reconnecting';
    this.#changed();
    await this.#run((signal) => this.#open(signal));
  }

  /** Ends it at the hub; the stream then ends in order. */
  async stop() {
    // The Messages API has no word for it in its stream.
    this.#isStopping = true;
    try {
      if (this.path !== null) {
        await send(`${this.path}/cancel`, { method: 'POST' });
      } else if (this.#key !== null) {
        // The headers wait for the first event, so nobody has told its id yet. An answer with a key goes on without readers, and a request
        // that is still on its way is refused when it comes.
        await send('/v1/cancel', { method: 'POST', headers: { 'Idempotency-Key': this.#key } });
      }
    } catch (failure) {
      this.#isStopping = false;
      throw failure;
    }
    if (this.path === null) {
      this.#end('stopped');
      this.#abort?.abort();
    } else if (this.state === 'cut') {
      await this.resume();
    }
  }

  async #run(first) {
    let connect = first;
    for (let attempt = 0; ; attempt++) {
      const before = this.lastEvent;
      try {
        this.#abort = new AbortController();
        const response = await connect(this.#abort.signal);
        if (response.status === 204) {
          this.#end(this.cancelled ? 'stopped' : 'done');
          return;
        }
        if (await this.#read(response)) return;
      } catch (failure) {
        if (this.state === 'cut' || this.isOver) return;
        if (failure instanceof Refusal && failure.status < 500 && failure.status !== 429) {
          this.error = failure.message;
          this.#end('failed');
          return;
        }
        if (this.id === null || attempt >= AttemptsMax) {
          this.error = failure instanceof Refusal ? failure.message : 'The hub can\u2019t be reached.';
          this.#end('failed');
          return;
        }
      }
      if (this.state === 'cut' || this.isOver) return;
      if (this.lastEvent > before) attempt = 0;
      if (attempt >= AttemptsMax) {
        this.error = 'The connection broke off again and again.';
        this.#end('failed');
        return;
      }
      this.state = 'reconnecting';
      this.#changed();
      await new Promise((done) => setTimeout(done, Math.min(PauseMax, PauseFirst * 2 ** attempt)));
      if (this.state === 'cut' || this.isOver) return;
      connect = (signal) => this.#open(signal);
    }
  }

  #open(signal) {
    const headers = this.lastEvent > 0 ? { 'Last-Event-ID': `${this.id}:${this.lastEvent}` } : {};
    return send(`${this.path}?stream=true`, { headers, signal });
  }

  // Whether the answer has ended.
  async #read(response) {
    this.id = response.headers.get('Sluice-Stream-Id') ?? this.id;
    if (this.id !== null) remember(this.id);
    const from = this.lastEvent;
    if (from > 0) this.resumedAt.push(from);
    this.state = this.firstAt === null ? 'waiting' : 'streaming';
    this.#changed();
    for await (const events of readEvents(response.body)) {
      if (this.state === 'cut') return true;
      for (const event of events) {
        if (event.data === '[DONE]') {
          this.#end(this.error ? 'failed' : this.cancelled ? 'stopped' : 'done');
          return true;
        }
        // What has no id is not of the answer: it keeps the connection alive, or says why it ends.
        if (event.id) {
          const number = Number(event.id.slice(event.id.lastIndexOf(':') + 1));
          // What the page has, it has.
          if (number <= this.lastEvent) {
            this.repeatedEvents++;
            continue;
          }
          this.lastEvent = number;
        }
        this.#door.read(this, event);
      }
      if (this.error) {
        this.#end('failed');
        return true;
      }
      this.state = 'streaming';
      this.#changed();
    }
    // The Messages API has no mark behind its last event.
    if (this.finish === null) return false;
    this.#end(this.cancelled ? 'stopped' : 'done');
    return true;
  }

  #content() {
    const now = performance.now();
    if (this.firstAt === null) this.firstAt = now;
    else if (this.gaps.length < GapsMax) this.gaps.push(now - this.lastAt);
    else this.gaps[this.contentCount % GapsMax] = now - this.lastAt;
    this.lastAt = now;
    this.contentCount++;
  }

  #end(state) {
    if (this.isOver) return;
    if (state === 'done' && this.#isStopping) state = 'stopped';
    this.calls = this.calls.filter(Boolean);
    this.endedAt = performance.now();
    this.state = state;
    this.#changed();
  }
}
