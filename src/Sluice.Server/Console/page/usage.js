// Usage for administrators, by day, key and model, as the hub's usage and cost reports have it; and as CSV.

import { read } from './api.js';
import { button, complain, element, field } from './dom.js';
import { bars, count } from './plot.js';

const Day = 86_400;
const Groups = { api_key_id: 'key', model: 'model', project_id: 'project' };

export function showUsage(view) {
  const days = element('select', {}, [7, 14, 30].map((number) => element('option', { value: String(number) }, `last ${number} days`)));
  const group = element('select', {}, element('option', { value: 'api_key_id,model' }, 'key and model'), Object.entries(Groups).map(([id, name]) => element('option', { value: id }, name)), element('option', { value: '' }, 'day only'));
  const place = element('div');
  let rows = [];

  async function refresh() {
    try {
      const start = Math.floor(Date.now() / 1000 / Day) * Day - (Number(days.value) - 1) * Day;
      const query = `start_time=${start}&bucket_width=1d&limit=31${group.value ? `&group_by=${group.value}` : ''}`;
      const [usage, costs, keys] = await Promise.all([
        read(`/v1/organization/usage/completions?${query}`),
        read(`/v1/organization/costs?${query}`),
        read('/admin/keys'),
      ]);
      const names = new Map(keys.keys.map((key) => [key.id, key.name]));
      rows = join(usage, costs, names);
      draw(usage);
      complain('');
    } catch (failure) {
      complain(failure.message);
    }
  }

  function draw(usage) {
    const daily = usage.data.map((bucket) => bucket.results.reduce((sum, result) => sum + result.input_tokens + result.output_tokens, 0));
    const columns = columnsOf(group.value);
    place.replaceChildren(
      element('figure', {}, bars(`Tokens by day: ${daily.map(count).join(', ')}`, daily), element('figcaption', {}, 'tokens by day, prompts and answers')),
      rows.length === 0
        ? element('p', { class: 'note' }, 'Nothing was used in these days.')
        : element('div', { class: 'scroll', tabindex: '0', role: 'group', 'aria-label': 'Usage' }, element('table', {},
          element('caption', { class: 'visually-hidden' }, 'Usage'),
          element('thead', {}, element('tr', {}, columns.map(({ title, isNumber }) => element('th', { scope: 'col', class: isNumber ? 'number' : null }, title)))),
          element('tbody', {}, rows.map((row) => element('tr', {}, columns.map(({ name, isNumber, format }) => element('td', { class: isNumber ? 'number' : null }, (format ?? String)(row[name] ?? '')))))))));
  }

  function save() {
    const url = URL.createObjectURL(new Blob([csv(columnsOf(group.value), rows)], { type: 'text/csv' }));
    const anchor = element('a', { href: url, download: `sluice-usage-${new Date().toISOString().slice(0, 10)}.csv` });
    document.body.append(anchor);
    anchor.click();
    anchor.remove();
    URL.revokeObjectURL(url);
  }

  days.addEventListener('change', refresh);
  group.addEventListener('change', refresh);
  view.append(element('h2', {}, 'Usage'), element('div', { class: 'form' }, field('Days', days), field('By', group), element('div', { class: 'field' }, button('Save as CSV', save))), place);
  refresh();
}

function columnsOf(groups) {
  return [
    { name: 'day', title: 'Day' },
    ...groups.split(',').filter(Boolean).map((id) => ({ name: id, title: Groups[id][0].toUpperCase() + Groups[id].slice(1) })),
    { name: 'requests', title: 'Requests', isNumber: true, format: count },
    { name: 'input', title: 'Prompt tokens', isNumber: true, format: count },
    { name: 'cached', title: 'of them cached', isNumber: true, format: count },
    { name: 'output', title: 'Answer tokens', isNumber: true, format: count },
    { name: 'usd', title: 'Cost in dollars', isNumber: true, format: (value) => Number(value || 0).toFixed(4) },
  ];
}

function join(usage, costs, names) {
  const keyOf = (start, result) => JSON.stringify([start, result.project_id, result.api_key_id, result.model ?? null]);
  const amounts = new Map();
  for (const bucket of costs.data) for (const result of bucket.results) amounts.set(keyOf(bucket.start_time, { ...result, model: result.line_item }), result.amount.value);
  const rows = [];
  for (const bucket of usage.data) {
    for (const result of bucket.results) {
      rows.push({
        day: new Date(bucket.start_time * 1000).toISOString().slice(0, 10),
        api_key_id: names.get(result.api_key_id) ?? result.api_key_id ?? '',
        model: result.model ?? '',
        project_id: result.project_id ?? '',
        requests: result.num_model_requests,
        input: result.input_tokens,
        cached: result.input_cached_tokens,
        output: result.output_tokens,
        usd: amounts.get(keyOf(bucket.start_time, result)) ?? 0,
      });
    }
  }
  return rows.reverse();
}

/** RFC 4180. A text that a spreadsheet would take for a formula gets an apostrophe. */
export function csv(columns, rows) {
  const cell = (value) => {
    let text = String(value ?? '');
    if (typeof value !== 'number' && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns.map(({ title }) => cell(title)), ...rows.map((row) => columns.map(({ name }) => cell(row[name])))].map((line) => `${line.join(',')}\r\n`).join('');
}
