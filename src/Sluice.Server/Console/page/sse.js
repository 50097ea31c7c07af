// Reads an event stream (text/event-stream) off a response, as its standard says, for requests that EventSource can't make.

/**
 * Yields the events of each piece that the network brings, as a list of {event, data, id}. The id is the event's own, and null where it has
 * none: that of an event before it doesn't count here. Comments are left out. An event that the end cuts off is no event.
 */
export async function* readEvents(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const parser = new EventParser();
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) return;
      const events = parser.add(decoder.decode(value, { stream: true }));
      if (events.length > 0) yield events;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Makes events of text that comes in pieces, cut anywhere. */
export class EventParser {
  #rest = '';
  #event = '';
  #data = [];
  #id = null;
  #skipsLineFeed = false;

  add(text) {
    const events = [];
    let start = 0;
    // What is left of earlier pieces has no end of line in it.
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index);
      if (code !== 10 && code !== 13) {
        this.#skipsLineFeed = false;
        continue;
      }
      if (code === 10 && this.#skipsLineFeed) {
        this.#skipsLineFeed = false;
        start = index + 1;
        continue;
      }
      this.#skipsLineFeed = code === 13;
      this.#line(this.#rest + text.slice(start, index), events);
      this.#rest = '';
      start = index + 1;
    }
    this.#rest += text.slice(start);
    return events;
  }

  #line(line, events) {
    if (line === '') {
      if (this.#data.length > 0) events.push({ event: this.#event || 'message', data: this.#data.join('\n'), id: this.#id });
      this.#event = '';
      this.#data = [];
      this.#id = null;
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? '' : line.slice(colon + 1);
    if (value.startsWith(' ')) value = value.slice(1);
    if (name === 'data') this.#data.push(value);
    else if (name === 'event') this.#event = value;
    else if (name === 'id' && !value.includes('\0')) this.#id = value;
  }
}
