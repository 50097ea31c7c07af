// What a request is made with: door, model, system text, parameters, tools, schema. Kept for the tab.

import { element, field } from './dom.js';
import { doors } from './doors.js';

const Name = 'sluice.settings';
const ToolExample = `[
  {
    "name": "get_weather",
    "description": "Current weather of a city",
    "parameters": {
      "type": "object",
      "properties": {"city": {"type": "string"}},
      "required": ["city"]
    }
  }
]`;

export class Settings {
  #door = element('select', {}, doors.map((door) => element('option', { value: door.id }, `${door.title} (${door.path})`)));
  #model;
  #system = element('textarea', { rows: '3' });
  #temperature = element('input', { type: 'number', min: '0', max: '2', step: '0.1', inputmode: 'decimal' });
  #topP = element('input', { type: 'number', min: '0', max: '1', step: '0.05', inputmode: 'decimal' });
  #maxTokens = element('input', { type: 'number', min: '1', step: '1', inputmode: 'numeric' });
  #seed = element('input', { type: 'number', step: '1', inputmode: 'numeric' });
  #stop = element('input', { type: 'text', spellcheck: 'false' });
  #tools = element('textarea', { rows: '6', class: 'code-text', spellcheck: 'false', placeholder: ToolExample });
  #schema = element('textarea', { rows: '5', class: 'code-text', spellcheck: 'false' });
  #more = element('textarea', { rows: '3', class: 'code-text', spellcheck: 'false' });

  constructor(hub) {
    this.#model = element('select', {}, hub.models.map((model) => element('option', { value: model.id }, model.kind === 'local' ? model.id : `${model.id} (upstream)`)));
    const controls = this.#controls();
    this.#restore(controls);
    this.node = element('aside', { class: 'settings panel', 'aria-label': 'Settings' },
      field('Model', this.#model),
      field('Door', this.#door),
      element('details', {}, element('summary', {}, 'System text'), field('Comes before the conversation', this.#system)),
      element('details', {}, element('summary', {}, 'Parameters'),
        element('div', { class: 'pair' }, field('Temperature', this.#temperature), field('Top p', this.#topP), field('Tokens at most', this.#maxTokens), field('Seed', this.#seed)),
        field('Stop texts', this.#stop, 'Separated by commas; chat and messages only.')),
      element('details', {}, element('summary', {}, 'Tools'), field('Functions, as JSON', this.#tools, 'A list of name, description and parameters. When the model calls one, you write the result.')),
      element('details', {}, element('summary', {}, 'JSON schema'), field('The answer follows it', this.#schema)),
      element('details', {}, element('summary', {}, 'Anything else'), field('More members of the request, as JSON', this.#more, 'They replace those of the same name.')));
    this.node.addEventListener('input', () => {
      try {
        sessionStorage.setItem(Name, JSON.stringify(Object.fromEntries(Object.entries(controls).map(([name, control]) => [name, control.value]))));
      } catch {
        // No room: they hold until the page is left.
      }
      document.dispatchEvent(new CustomEvent('sluice:settings'));
    });
  }

  /** What a door makes a request of. */
  read() {
    const number = (control) => (control.value.trim() === '' ? null : Number(control.value));
    const json = (control, what) => {
      if (control.value.trim() === '') return null;
      try {
        return JSON.parse(control.value);
      } catch (problem) {
        throw new Error(`${what}: ${problem.message}`);
      }
    };
    const tools = json(this.#tools, 'The tools are not valid JSON') ?? [];
    if (!Array.isArray(tools)) throw new Error('The tools are a JSON list.');
    return {
      door: doors.find((door) => door.id === this.#door.value),
      model: this.#model.value,
      system: this.#system.value.trim(),
      options: {
        temperature: number(this.#temperature),
        topP: number(this.#topP),
        maxTokens: number(this.#maxTokens),
        seed: number(this.#seed),
        stop: this.#stop.value.split(',').map((text) => text.trim()).filter(Boolean),
        // Also as OpenAI's APIs write them.
        tools: tools.map((tool) => tool.function ?? tool),
        schema: json(this.#schema, 'The schema is not valid JSON'),
        more: json(this.#more, 'The other members are not valid JSON') ?? {},
      },
    };
  }

  #controls() {
    return {
      door: this.#door, model: this.#model, system: this.#system, temperature: this.#temperature, topP: this.#topP, maxTokens: this.#maxTokens, seed: this.#seed,
      stop: this.#stop, tools: this.#tools, schema: this.#schema, more: this.#more,
    };
  }

  #restore(controls) {
    let stored = {};
    try {
      stored = JSON.parse(sessionStorage.getItem(Name) ?? '{}');
    } catch {
      // It was another version's.
    }
    for (const [name, control] of Object.entries(controls)) {
      if (typeof stored[name] !== 'string') continue;
      if (control.tagName === 'SELECT' && ![...control.options].some((option) => option.value === stored[name])) continue;
      control.value = stored[name];
    }
  }
}
