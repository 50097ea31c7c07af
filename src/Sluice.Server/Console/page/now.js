// What the hub does now: answers, models and upstreams. Read again every few seconds while the page is looked at.

import { read, send } from './api.js';
import { announce, button, complain, element } from './dom.js';
import { doorOfPath } from './doors.js';
import { knownIds } from './known.js';
import { age, bars, count, lines, seconds } from './plot.js';

const Interval = 3000;

/** Shows the page; what it returns ends it. */
export function showNow(view, hub) {
  const answers = element('div', { class: 'scroll' });
  const models = element('div', { class: 'cards' });
  const upstreams = element('div', { class: 'cards' });
  const only = element('select', { id: 'only' }, element('option', { value: 'open' }, 'that are not complete'), element('option', { value: 'all' }, 'all that are kept'));
  let timer = 0;
  let isEnded = false;
  // What somebody did and what came of it stays to be read; only what this loop said is taken back by it.
  let hasFailed = false;

  async function refresh() {
    clearTimeout(timer);
    // Nobody looks at a tab in the background.
    if (!document.hidden) {
      try {
        const [list, health] = await Promise.all([read('/console/api/answers', { headers: hub.keys ? {} : { 'Sluice-Known-Answers': knownIds().join(',') } }), read('/console/api/health')]);
        if (isEnded) return;
        drawAnswers(list.answers);
        drawHealth(health);
        if (hasFailed) complain('');
        hasFailed = false;
      } catch (failure) {
        if (isEnded) return;
        hasFailed = true;
        complain(failure.message);
      }
    }
    timer = setTimeout(refresh, Interval);
  }

  function drawAnswers(list) {
    // A button that has the focus keeps it.
    const focused = document.activeElement?.dataset?.focus;
    const shown = list.filter((answer) => only.value === 'all' || ['running', 'detached', 'suspended'].includes(answer.state));
    if (shown.length === 0) {
      answers.replaceChildren(element('p', { class: 'note' }, only.value === 'all' ? 'No answers are kept.' : 'Nothing runs, and nothing is suspended.'));
      return;
    }
    const isAdmin = hub.role === 'admin';
    const heads = ['State', 'Model', 'Door', ...(isAdmin ? ['Owner'] : []), 'Readers', 'Age', 'Tokens', 'Cost', ''];
    const numbers = new Set(['Readers', 'Age', 'Tokens', 'Cost']);
    answers.replaceChildren(element('table', { class: 'responsive' },
      element('caption', { class: 'visually-hidden' }, 'Answers, the newest first'),
      element('thead', {}, element('tr', {}, heads.map((head) => (head ? element('th', { scope: 'col', class: numbers.has(head) ? 'number' : null }, head) : element('td'))))),
      element('tbody', {}, shown.map((answer) => row(answer, isAdmin)))));
    if (focused) answers.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
  }

  function row(answer, isAdmin) {
    const isOpen = ['running', 'detached', 'suspended'].includes(answer.state);
    const actions = [];
    if (answer.id && !isAdmin && doorOfPath(answer.path)) actions.push(element('a', { href: `#playground?watch=${encodeURIComponent(`${answer.path}/${answer.id}`)}`, 'data-focus': `open-${answer.id}` }, 'Open'));
    if (answer.id && isOpen) actions.push(button('Cancel', () => cancel(answer, isAdmin), { class: 'small', 'data-focus': `cancel-${answer.id}`, 'aria-label': `Cancel the answer of ${answer.model}` }));
    const cell = (label, text, name) => element('td', { 'data-label': label, class: name }, text);
    return element('tr', {},
      cell('State', element('span', { class: `badge ${answer.state === 'failed' ? 'bad' : answer.state === 'running' ? 'good' : ''}` }, answer.state)),
      cell('Model', answer.model, 'wide'),
      cell('Door', answer.door),
      isAdmin ? cell('Owner', answer.owner_name ?? (answer.owner || 'everybody'), 'wide') : null,
      cell('Readers', String(answer.readers), 'number'),
      cell('Age', age(answer.age), 'number'),
      cell('Tokens', `${answer.estimated ? '≈ ' : ''}${count(answer.input_tokens)} + ${count(answer.output_tokens)}`, 'number'),
      cell('Cost', answer.usd === undefined ? '–' : `${answer.estimated ? '≈ ' : ''}$${answer.usd.toFixed(4)}`, 'number'),
      element('td', { class: 'wide' }, element('span', { class: 'row' }, actions)));
  }

  async function cancel(answer, isAdmin) {
    try {
      await send(isAdmin ? `/console/api/answers/${encodeURIComponent(answer.id)}/cancel` : `${answer.path}/${encodeURIComponent(answer.id)}/cancel`, { method: 'POST' });
      complain('');
      announce('The answer is cancelled.');
    } catch (failure) {
      hasFailed = false;
      complain(failure.message);
    }
    refresh();
  }

  function drawHealth(health) {
    models.replaceChildren(...health.models.map((model) => element('section', { class: 'panel' },
      element('h3', {}, model.id), ' ',
      model.kind === 'local' ? element('span', { class: `badge ${model.loaded ? 'good' : ''}` }, model.loaded ? 'loaded' : 'not loaded') : element('span', { class: 'badge' }, 'upstream'),
      element('dl', {}, facts([
        ['in work', count(model.in_flight)],
        ['requests', count(model.requests)],
        ['errors', count(model.errors)],
        ['tokens', `${count(model.input_tokens)} + ${count(model.output_tokens)}`],
        ['first token', `${seconds(model.first_p50)}, p95 ${seconds(model.first_p95)}`],
        ['gaps', `${seconds(model.gap_p50)}, p95 ${seconds(model.gap_p95)}`],
      ])),
      model.by_minute
        ? [
            figure('requests a minute, errors marked', bars(`Requests of ${model.id} in the last hour: ${model.requests}, of them failed: ${model.errors}`, model.by_minute.requests, model.by_minute.errors)),
            figure('first token: median and p95', lines(`Time to the first token of ${model.id}: median ${seconds(model.first_p50)}, p95 ${seconds(model.first_p95)}`, [{ values: model.by_minute.first_p95, name: 'high' }, { values: model.by_minute.first_p50, name: 'middle' }])),
            figure('gaps: median and p95', lines(`Gaps of ${model.id}: median ${seconds(model.gap_p50)}, p95 ${seconds(model.gap_p95)}`, [{ values: model.by_minute.gap_p95, name: 'high' }, { values: model.by_minute.gap_p50, name: 'middle' }])),
          ]
        : element('p', { class: 'note' }, 'Not asked in the last hour.'))));
    upstreams.replaceChildren(...health.upstreams.map((upstream) => {
      const attempts = upstream.attempts.reduce((sum, value) => sum + value, 0);
      const faults = upstream.faults.reduce((sum, value) => sum + value, 0);
      const isGood = upstream.breaker === 'closed' && !upstream.avoided;
      return element('section', { class: 'panel' },
        element('h3', {}, upstream.name === 'local' ? 'local engine' : upstream.name), ' ',
        element('span', { class: `badge ${isGood ? 'good' : 'bad'}` }, upstream.breaker === 'closed' ? (upstream.avoided ? 'left alone' : 'closed') : upstream.breaker),
        element('dl', {}, facts([['for', upstream.model], ['in work', count(upstream.in_flight)], ['attempts', count(attempts)], ['failed', count(faults)]])),
        attempts > 0 ? figure('attempts a minute, failed ones marked', bars(`Attempts at ${upstream.name} in the last hour: ${attempts}, of them failed: ${faults}`, upstream.attempts, upstream.faults)) : null);
    }));
  }

  only.addEventListener('change', refresh);
  document.addEventListener('visibilitychange', refresh);
  view.append(
    element('section', {}, element('h2', {}, hub.role === 'admin' ? 'Answers' : 'Your answers'),
      element('p', { class: 'row' }, element('label', { for: 'only' }, 'Those'), only, button('Refresh', refresh, { class: 'small' })), answers,
      hub.keys || hub.role === 'admin' ? null : element('p', { class: 'note' }, 'This hub has no keys, so an answer can be opened and cancelled only in the tab that asked for it.')),
    element('section', {}, element('h2', {}, 'Models, last hour'), models),
    element('section', {}, element('h2', {}, 'Upstreams, last hour'), element('p', { class: 'note' }, 'The badge is the breaker: an open one is left alone for a while.'), upstreams));
  refresh();
  return () => {
    isEnded = true;
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', refresh);
  };
}

function facts(pairs) {
  return pairs.flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, value)]);
}

function figure(caption, plot) {
  return element('figure', {}, plot, element('figcaption', {}, caption));
}
