/** Bounds of what is done to go on with a stream. All times are in seconds. */
export interface ResumingFetchOptions {
  /** Sends the requests; the default is the global one. */
  fetch?: typeof globalThis.fetch;
  /** Attempts without a further event; the default is 12. */
  attempts?: number;
  /** Time without a further event, waits included; the default is 60. */
  seconds?: number;
  /** The first wait, which doubles up to 5 s; up to a half of each is left out at random. The default is 0.1. */
  pause?: number;
  /** A stream without a byte for so long counts as dropped: a hub sends something every 15 s. The default is 40. */
  silence?: number;
}

/** A fetch under which answers of Sluice outlive their connections. To be made once and kept: it remembers what is on its way. */
export function resumingFetch(options?: ResumingFetchOptions): typeof globalThis.fetch;
