// The console: which page is shown, the theme, and the key.

import { read, readKey, Refusal, storeKey } from './api.js';
import { complain, element } from './dom.js';
import { showKeys } from './keys.js';
import { showNow } from './now.js';
import { showPlayground } from './playground.js';
import { showUsage } from './usage.js';

const ThemeName = 'sluice.theme';
const view = document.getElementById('view');
const callerPages = [
  { id: 'playground', title: 'Playground', show: showPlayground },
  { id: 'now', title: 'Now', show: showNow },
];
// An administrator's key asks no model.
const adminPages = [
  { id: 'now', title: 'Now', show: showNow },
  { id: 'keys', title: 'Keys', show: showKeys },
  { id: 'usage', title: 'Usage', show: showUsage },
];

let pages = callerPages;
let hub = null;
let leave = null;

function applyTheme(theme) {
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

function startTheme() {
  const select = document.getElementById('theme');
  const stored = localStorage.getItem(ThemeName);
  select.value = stored === 'light' || stored === 'dark' ? stored : 'auto';
  applyTheme(select.value);
  select.addEventListener('change', () => {
    localStorage.setItem(ThemeName, select.value);
    applyTheme(select.value);
  });
}

function startKey() {
  const dialog = document.getElementById('key-dialog');
  const text = document.getElementById('key-text');
  const open = (reason) => {
    document.getElementById('key-reason').textContent = reason ?? '';
    text.value = '';
    if (!dialog.open) dialog.showModal();
    text.focus();
  };
  document.getElementById('key-button').addEventListener('click', () => open(readKey() ? 'This tab has a key.' : 'This tab has no key.'));
  document.addEventListener('sluice:key', (event) => open(event.detail ?? 'This hub needs an API key.'));
  dialog.addEventListener('close', () => {
    if (dialog.returnValue === 'use' && text.value.trim()) storeKey(text.value.trim());
    else if (dialog.returnValue === 'remove') storeKey(null);
    else return;
    text.value = '';
    dialog.returnValue = '';
    start();
  });
}

// The address names the page, so the link must not change it.
function startSkip() {
  document.querySelector('.skip').addEventListener('click', (event) => {
    event.preventDefault();
    view.focus();
  });
}

function route() {
  const [id, query = ''] = location.hash.slice(1).split('?', 2);
  const page = pages.find((one) => one.id === id) ?? pages[0];
  for (const link of document.querySelectorAll('#pages a')) {
    if (link.hash === `#${page.id}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  document.title = `${page.title} – Sluice console`;
  leave?.();
  leave = null;
  complain('');
  view.replaceChildren();
  leave = page.show(view, hub, new URLSearchParams(query)) ?? null;
}

async function start() {
  try {
    hub = await read('/console/api/hub');
  } catch (failure) {
    leave?.();
    leave = null;
    view.replaceChildren(element('p', {}, failure instanceof Refusal ? failure.message : 'The hub can\u2019t be reached. Reload the page to try again.'));
    return;
  }
  pages = hub.role === 'admin' ? adminPages : callerPages;
  document.getElementById('pages').replaceChildren(...pages.map((page) => element('li', {}, element('a', { href: `#${page.id}` }, page.title))));
  route();
}

startTheme();
startKey();
startSkip();
window.addEventListener('hashchange', route);
start();
