// Keys for administrators: what there is, a new one, its limits, another secret, an end.

import { read } from './api.js';
import { announce, button, complain, element, field } from './dom.js';

const Periods = ['hour', 'day', 'week', 'month', 'total'];

export function showKeys(view) {
  const list = element('div', { class: 'scroll' });
  const secret = element('div', { role: 'status' });
  const place = element('div');
  let projects = [];

  async function refresh() {
    try {
      const found = await read('/admin/keys');
      projects = found.projects;
      draw(found.keys);
    } catch (failure) {
      complain(failure.message);
    }
  }

  function draw(keys) {
    if (keys.length === 0) {
      list.replaceChildren(element('p', { class: 'note' }, 'No key has been made yet. Keys of the configuration file are not listed here.'));
      return;
    }
    list.replaceChildren(element('table', { class: 'responsive' },
      element('caption', { class: 'visually-hidden' }, 'Keys'),
      element('thead', {}, element('tr', {}, ['Name', 'State', 'Project', 'Ends with', 'Limits', 'Expires', 'Last used', ''].map((head) => (head ? element('th', { scope: 'col' }, head) : element('td'))))),
      element('tbody', {}, keys.map((key) => element('tr', {},
        element('td', { 'data-label': 'Name', class: 'wide' }, key.name),
        element('td', { 'data-label': 'State' }, element('span', { class: `badge ${key.state === 'live' ? 'good' : 'bad'}` }, key.state)),
        element('td', { 'data-label': 'Project' }, key.project ?? '–'),
        element('td', { 'data-label': 'Ends with', class: 'mono' }, key.last_four),
        element('td', { 'data-label': 'Limits', class: 'wide' }, describe(key)),
        element('td', { 'data-label': 'Expires' }, day(key.expires_at)),
        element('td', { 'data-label': 'Last used' }, day(key.last_used_at)),
        element('td', { class: 'wide' }, key.state === 'revoked' ? null : element('span', { class: 'row' },
          button('Limits', () => showForm(key), { class: 'small', 'aria-label': `Limits of ${key.name}` }),
          button('New secret', () => rotate(key), { class: 'small', 'aria-label': `New secret of ${key.name}` }),
          button('Revoke', () => revoke(key), { class: 'small', 'aria-label': `Revoke ${key.name}` }))))))));
  }

  function showForm(key) {
    const value = (text) => (text === null || text === undefined ? '' : String(text));
    const [first] = key?.budgets ?? [];
    const name = element('input', { type: 'text', required: key === null, disabled: key !== null, value: value(key?.name), pattern: '[A-Za-z0-9._\\-]+', maxlength: '64' });
    const project = element('select', {}, element('option', { value: '' }, 'none'), projects.map((id) => element('option', { value: id }, id)));
    project.value = key?.project ?? '';
    const models = element('input', { type: 'text', value: (key?.models ?? []).join(', ') });
    const number = (text) => element('input', { type: 'number', min: '1', step: '1', value: value(text) });
    const [rpm, tpm, parallel] = [number(key?.rpm), number(key?.tpm), number(key?.parallel)];
    const amount = element('input', { type: 'number', min: '0', step: 'any', value: value(first?.usd ?? first?.tokens) });
    const unit = element('select', {}, element('option', { value: 'usd' }, 'dollars'), element('option', { value: 'tokens' }, 'tokens'));
    unit.value = first?.tokens !== undefined ? 'tokens' : 'usd';
    const per = element('select', {}, Periods.map((period) => element('option', { value: period }, period)));
    per.value = first?.per ?? 'month';
    const expires = element('input', { type: 'date', value: key?.expires_at ? new Date(key.expires_at * 1000).toISOString().slice(0, 10) : '' });
    const expiresBefore = expires.value;
    const orNull = (control) => (control.value === '' ? null : Number(control.value));
    const close = () => place.replaceChildren();
    const form = element('form', {
      class: 'panel',
      onsubmit: async (event) => {
        event.preventDefault();
        const more = (key?.budgets ?? []).slice(1);
        const body = {
          project: project.value || null,
          models: models.value.trim() ? models.value.split(',').map((text) => text.trim()).filter(Boolean) : null,
          rpm: orNull(rpm), tpm: orNull(tpm), parallel: orNull(parallel),
          budgets: amount.value === '' ? more : [{ ...(unit.value === 'usd' ? { usd: Number(amount.value) } : { tokens: Number(amount.value) }), per: per.value, ...(first?.zone ? { zone: first.zone } : {}) }, ...more],
        };
        // The day is less than what the key has: sent back unchanged it would end the key at that day's midnight.
        if (key === null || expires.value !== expiresBefore) body.expires_at = expires.value ? Date.parse(`${expires.value}T00:00:00Z`) / 1000 : null;
        try {
          const made = await read(key ? `/admin/keys/${encodeURIComponent(key.id)}` : '/admin/keys', { method: 'POST', body: key ? body : { name: name.value.trim(), ...body } });
          close();
          complain('');
          if (made.key) showSecret(made.name, made.key);
          else announce(`The limits of ${key.name} are changed.`);
          await refresh();
        } catch (failure) {
          complain(failure.message);
        }
      },
    },
    element('h3', {}, key ? `Limits of ${key.name}` : 'A new key'),
    element('div', { class: 'form' },
      field('Name', name), field('Project', project), field('Models', models, 'Separated by commas; empty for all.'),
      field('Requests a minute', rpm), field('Tokens a minute', tpm), field('Answers at a time', parallel),
      field('Budget', amount), field('Unit', unit), field('Window', per), field('Expires', expires)),
    element('div', { class: 'row' }, element('button', { type: 'submit', class: 'main' }, key ? 'Change' : 'Create'), button('Cancel', close)));
    place.replaceChildren(form);
    (key ? project : name).focus();
  }

  function showSecret(name, key) {
    secret.replaceChildren(element('div', { class: 'panel' },
      element('h3', {}, `The secret of ${name}`),
      element('p', {}, 'It is shown once. The hub keeps only its hash.'),
      element('p', { class: 'secret mono', tabindex: '0' }, key),
      element('div', { class: 'row' }, button('Copy', () => navigator.clipboard?.writeText(key)), button('I have it', () => secret.replaceChildren()))));
  }

  async function rotate(key) {
    if (!confirm(`Make another secret for ${key.name}? The secret of now works for another 24 hours.`)) return;
    try {
      showSecret(key.name, (await read(`/admin/keys/${encodeURIComponent(key.id)}/rotate`, { method: 'POST', body: {} })).key);
      await refresh();
    } catch (failure) {
      complain(failure.message);
    }
  }

  async function revoke(key) {
    if (!confirm(`Revoke ${key.name}? What runs for it ends, and it opens the hub no more.`)) return;
    try {
      await read(`/admin/keys/${encodeURIComponent(key.id)}/revoke`, { method: 'POST', body: {} });
      announce(`${key.name} is revoked.`);
      await refresh();
    } catch (failure) {
      complain(failure.message);
    }
  }

  view.append(element('h2', {}, 'Keys'), element('p', { class: 'row' }, button('New key', () => showForm(null), { class: 'main' })), secret, place, list);
  refresh();
}

function day(unixSeconds) {
  return unixSeconds ? new Date(unixSeconds * 1000).toISOString().slice(0, 10) : '–';
}

function describe(key) {
  const parts = [];
  if (key.rpm) parts.push(`${key.rpm} requests/min`);
  if (key.tpm) parts.push(`${key.tpm} tokens/min`);
  if (key.parallel) parts.push(`${key.parallel} at a time`);
  for (const budget of key.budgets) parts.push(`${budget.usd !== undefined ? `$${budget.usd}` : `${budget.tokens} tokens`}/${budget.per}`);
  if (key.models) parts.push(`models: ${key.models.join(', ')}`);
  return parts.join(', ') || '–';
}
