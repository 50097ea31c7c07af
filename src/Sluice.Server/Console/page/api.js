// Requests to the hub that the page came from. The key is in the tab's session storage, in no cookie, so no other page can make a
// browser send it.

const KeyName = 'sluice.key';
const Base = new URL('.', document.baseURI);

/** The full address of one of the hub's paths, also behind a proxy that adds a prefix. */
export function address(path) {
  return new URL(path.replace(/^\//, ''), Base);
}

export function readKey() {
  return sessionStorage.getItem(KeyName);
}

export function storeKey(key) {
  if (key) sessionStorage.setItem(KeyName, key);
  else sessionStorage.removeItem(KeyName);
}

/** What the hub refused, in its own words. */
export class Refusal extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export function headersWith(headers = {}) {
  const key = readKey();
  return key ? { ...headers, Authorization: `Bearer ${key}` } : headers;
}

/** Sends a request; its response is a good one. */
export async function send(path, { method = 'GET', body, headers = {}, signal } = {}) {
  const response = await fetch(address(path), {
    method,
    signal,
    credentials: 'omit',
    redirect: 'error',
    headers: headersWith(body === undefined ? headers : { 'Content-Type': 'application/json', ...headers }),
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (response.ok) return response;
  let error = null;
  try {
    error = (await response.json()).error;
  } catch {
    // Something on the way answered, and not the hub.
  }
  if (response.status === 401) document.dispatchEvent(new CustomEvent('sluice:key', { detail: error?.message }));
  throw new Refusal(response.status, error?.code ?? null, error?.message ?? `The hub answered with status ${response.status}.`);
}

export async function read(path, options) {
  return (await send(path, options)).json();
}
