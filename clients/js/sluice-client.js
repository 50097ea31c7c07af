// A fetch under which an answer of Sluice outlives its connection; the application sees one stream:
//
//   const client = new OpenAI({ fetch: resumingFetch() });
//
// It acts on POSTs to .../chat/completions only, and goes on only with what a Sluice has begun: a response with the header Sluice-Stream-Id.

const path = "/chat/completions";
const pauseMax = 5;
const keySeconds = 15; // For automatic retries, with their waits.
const cancelSeconds = 3; // After an abort before the answer: it may be the timeout of an SDK that asks again at once.

/** See sluice-client.d.ts. */
export function resumingFetch({ fetch: send = globalThis.fetch.bind(globalThis), attempts = 12, seconds = 60, pause = 0.1, silence = 40 } = {}) {
  const known = new Set(); // Origins that have answered as Sluice does.
  const unanswered = new Map(); // Requests that got no answer: their keys, for an equal one that is their automatic retry.

  return async function (input, init) {
    const url = new URL(input.url ?? input, globalThis.location?.href);
    if ((init?.method ?? input.method ?? "GET").toUpperCase() !== "POST" || !url.pathname.endsWith(path)) return send(input, init);
    const request = new Request(input, init);
    const body = await request.arrayBuffer();
    const identity = `${url} ${new TextDecoder().decode(body)}`;
    const headers = new Headers(request.headers);
    const isOwn = !headers.has("idempotency-key");
    // A close means no when nothing else was said; a key of the application's is for the application to end.
    const cancels = isOwn && !headers.has("sluice-on-disconnect");
    if (isOwn) headers.set("idempotency-key", takeKey(identity) ?? crypto.randomUUID());
    const signal = init?.signal ?? input.signal;
    const options = input.url ? { credentials: request.credentials, redirect: request.redirect, ...init } : init;
    const post = (signal) => send(url.href, { ...options, method: "POST", headers, body, signal });
    const budget = new Budget(attempts, seconds, pause);

    for (let wait = 0; ; ) {
      try {
        if (wait > 0) await sleep(wait, signal);
        const response = await post(signal);
        const id = response.headers.get("sluice-stream-id");
        if (!id) return response;
        known.add(url.origin);
        if (response.headers.get("content-type")?.startsWith("text/event-stream")) return wrap(response, stream(response.body.getReader(), id));
        return wrap(response, await response.arrayBuffer());
      } catch (error) {
        const isKnown = known.has(url.origin);
        wait = isKnown && !signal?.aborted && !neverSent(error) ? budget.pause() : undefined;
        if (wait !== undefined) continue;
        if (isOwn) keepKey(identity, headers.get("idempotency-key"), isKnown && cancels && signal?.aborted ? cancel : undefined);
        throw error;
      }
    }

    function stream(reader, id) {
      const events = new Events();
      let isOver = false;
      const end = () => {
        isOver = true;
        signal?.removeEventListener("abort", leave);
      };
      const leave = () => {
        if (isOver) return;
        end();
        reader.cancel().catch(() => {});
        if (cancels && !events.isDone && !events.hasFailed) cancel();
      };
      signal?.addEventListener("abort", leave);
      return new ReadableStream({
        async pull(controller) {
          while (true) {
            let part, drop;
            try {
              if (events.isStopped) throw ended();
              part = await within(events.isDone ? 1 : silence, reader.read());
            } catch (error) {
              drop = error;
            }
            if (signal?.aborted) throw signal.reason;
            if (isOver) return;
            if (part?.value) {
              const { count } = events;
              const whole = events.add(part.value);
              if (events.count > count) budget.renew();
              if (whole.length > 0) return controller.enqueue(whole);
              continue;
            }
            reader.cancel().catch(() => {});
            if (events.isDone || (events.hasFailed && !drop)) {
              end();
              return controller.close();
            }
            const rest = events.hasFailed ? undefined : await resume();
            if (isOver) return rest?.cancel();
            if (!rest) {
              const held = events.passOn();
              if (held) return controller.enqueue(held);
              end();
              throw drop ?? ended();
            }
            reader = rest;
          }
        },
        cancel: leave,
      });

      // A reader of the rest, or undefined when there is none to be had.
      async function resume() {
        headers.set("last-event-id", `${id}:${events.count}`);
        let retryAfter = 0;
        for (let wait; !isOver && (wait = budget.pause(retryAfter)) !== undefined; ) {
          const silent = new AbortController();
          const abort = () => silent.abort(signal.reason);
          retryAfter = 0;
          try {
            await sleep(wait, signal);
            signal?.addEventListener("abort", abort);
            const response = await within(silence, post(silent.signal), () => silent.abort());
            if (response.ok && response.headers.get("sluice-stream-id") === id && response.headers.get("sluice-stream-attempt") !== "created") {
              events.discard();
              return response.body.getReader();
            }
            response.body?.cancel().catch(() => {});
            if (![429, 500, 502, 503, 504].includes(response.status) || response.headers.get("x-should-retry") === "false") return undefined;
            retryAfter = secondsOf(response.headers.get("retry-after"));
          } catch {
            if (signal?.aborted) throw signal.reason;
          } finally {
            signal?.removeEventListener("abort", abort);
          }
        }
        return undefined;
      }
    }

    function cancel() {
      const bare = [...headers].filter(([name]) => !name.startsWith("content-") && name !== "last-event-id");
      const target = new URL(url.pathname.slice(0, -path.length) + "/cancel", url);
      send(target.href, { ...options, method: "POST", headers: bare, body: undefined, signal: undefined, keepalive: true })
        .then((response) => response.body?.cancel())
        .catch(() => {});
    }
  };

  function keepKey(identity, key, cancel) {
    const forget = () => {
      unanswered.delete(identity);
      cancel?.();
    };
    const other = unanswered.get(identity);
    clearTimeout(other?.timer);
    // Nobody can take the key that gives way, so nobody joins its answer.
    other?.cancel?.();
    const timer = setTimeout(forget, (cancel ? cancelSeconds : keySeconds) * 1000);
    timer.unref?.();
    unanswered.set(identity, { key, timer, cancel });
  }

  function takeKey(identity) {
    const kept = unanswered.get(identity);
    clearTimeout(kept?.timer);
    unanswered.delete(identity);
    return kept?.key;
  }
}

// What is tried without a further event.
class Budget {
  constructor(attempts, seconds, pause) {
    Object.assign(this, { attempts, seconds, first: pause });
    this.renew();
  }

  renew() {
    this.tried = 0;
    this.since = performance.now();
  }

  // Seconds until the next attempt; undefined when there is to be none.
  pause(least = 0) {
    const wait = Math.max(least, Math.min(pauseMax, this.first * 2 ** this.tried) * (0.5 + Math.random() / 2));
    return ++this.tried > this.attempts || (performance.now() - this.since) / 1000 + wait > this.seconds ? undefined : wait;
  }
}

// Lets whole events through and counts them; what a cut leaves of one is thrown away, for it comes again.
class Events {
  count = 0;
  isDone = false;
  hasFailed = false;
  isStopped = false; // The hub has said that it stops: that event is held back, and what follows it is left out.
  #rest = [];
  #line = [];
  #first;

  discard() {
    this.isStopped = false;
    [this.#rest, this.#line, this.#first] = [[], [], undefined];
  }

  // The event that is held back; undefined when there is none.
  passOn() {
    if (!this.isStopped || this.hasFailed) return undefined;
    this.hasFailed = true;
    return concat(this.#rest);
  }

  add(part) {
    const whole = [];
    let start = 0;
    for (let end; !this.isStopped && (end = part.indexOf(10, start) + 1) > 0; start = end) {
      this.#line.push(part.subarray(start, end));
      this.#endLine(whole);
    }
    if (start < part.length) this.#line.push(part.subarray(start));
    return concat(whole);
  }

  #endLine(whole) {
    const line = concat(this.#line);
    this.#line = [];
    // The end is all that matters of a long line, and its beginning.
    const text = String.fromCharCode(...line.subarray(0, 32)).replace(/[\r\n]+$/, "");
    if (text.startsWith(":") && this.#rest.length === 0) return void whole.push(line);
    this.#rest.push(line);
    if (text.startsWith("data:")) this.#first ??= text.slice(5).trimStart();
    if (text) return;
    const isError = this.#first !== undefined && /^\{\s*"error"/.test(this.#first);
    if (isError && !this.isDone && errorCode(new TextDecoder().decode(concat(this.#rest))) === "server_shutdown") {
      this.isStopped = true;
      return;
    }
    whole.push(...this.#rest);
    if (this.#first === "[DONE]") this.isDone = true;
    else if (isError) this.hasFailed = true;
    else if (this.#first !== undefined) this.count++;
    [this.#rest, this.#first] = [[], undefined];
  }
}

// The code of an error event; undefined where it has none, or is no JSON.
function errorCode(event) {
  const lines = event.split(/\r?\n/).filter((line) => line.startsWith("data:"));
  try {
    return JSON.parse(lines.map((line) => line.slice(5)).join("\n")).error?.code;
  } catch {
    return undefined;
  }
}

function concat(parts) {
  if (parts.length === 1) return parts[0];
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let length = 0;
  for (const part of parts) {
    all.set(part, length);
    length += part.length;
  }
  return all;
}

function ended() {
  return new TypeError("terminated", { cause: new Error("The stream ended without [DONE].") });
}

function wrap(response, body) {
  const { status, statusText, headers, url } = response;
  const wrapped = new Response(body, { status, statusText, headers });
  return Object.defineProperty(wrapped, "url", { value: url });
}

// A timeout is a drop like any other.
function within(seconds, promise, late) {
  let timer;
  const timeout = new Promise((_, reject) => {
    timer = setTimeout(() => {
      late?.();
      reject(new TypeError("terminated", { cause: new Error(`Nothing came for ${seconds} s.`) }));
    }, seconds * 1000);
  });
  return Promise.race([promise, timeout]).finally(() => clearTimeout(timer));
}

function sleep(seconds, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, seconds * 1000);
    signal?.addEventListener("abort", abort, { once: true });
  });
}

// Node says so; elsewhere it can't be known.
function neverSent(error) {
  return ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "UND_ERR_CONNECT_TIMEOUT"].includes(error?.cause?.code);
}

function secondsOf(retryAfter) {
  const seconds = Number(retryAfter ?? 0);
  return Math.max(0, Number.isNaN(seconds) ? (Date.parse(retryAfter) - Date.now()) / 1000 || 0 : seconds);
}
