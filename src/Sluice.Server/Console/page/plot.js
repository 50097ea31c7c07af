// Small plots, drawn as SVG.

import { element, svg } from './dom.js';

const Width = 240;
const Height = 48;

export function seconds(value) {
  if (value === null || value === undefined) return '–';
  if (value < 0.01) return `${(value * 1000).toFixed(1)} ms`;
  return value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(value < 10 ? 2 : 1)} s`;
}

export function age(value) {
  if (value < 60) return `${Math.round(value)} s`;
  return value < 3600 ? `${Math.floor(value / 60)} min` : `${Math.floor(value / 3600)} h ${Math.floor((value % 3600) / 60)} min`;
}

export function count(value) {
  return Math.round(value ?? 0).toLocaleString('en-US');
}

function frame(label, children) {
  return svg('svg', { viewBox: `0 0 ${Width} ${Height}`, class: 'plot', role: 'img', 'aria-label': label, preserveAspectRatio: 'none' }, children);
}

/** Bars, the oldest first; those of `marked` are drawn over them in another color. */
export function bars(label, values, marked = []) {
  const most = Math.max(1, ...values.map((value) => value ?? 0));
  const step = Width / Math.max(1, values.length);
  const bar = (value, index, name) => {
    const height = (value / most) * (Height - 2);
    return svg('rect', { x: (index * step).toFixed(2), y: (Height - height).toFixed(2), width: Math.max(0.8, step - 1).toFixed(2), height: height.toFixed(2), class: name });
  };
  return frame(label, [
    values.map((value, index) => (value ? bar(value, index, 'bar') : null)),
    marked.map((value, index) => (value ? bar(value, index, 'bar bad') : null)),
  ]);
}

/** Lines over the same minutes; a minute without a value leaves a hole. */
export function lines(label, series) {
  const most = Math.max(1e-6, ...series.flatMap((one) => one.values.map((value) => value ?? 0)));
  return frame(label, series.map(({ values, name }) => {
    // The last minute, alone, is still seen.
    const step = (Width - 4) / Math.max(1, values.length - 1);
    let path = '';
    let isOpen = false;
    values.forEach((value, index) => {
      if (value === null || value === undefined) {
        isOpen = false;
        return;
      }
      const point = `${(index * step).toFixed(1)} ${(Height - 2 - (value / most) * (Height - 4)).toFixed(1)}`;
      // A lone minute is a dot.
      path += isOpen ? `L${point}` : `M${point}h2`;
      isOpen = true;
    });
    return svg('path', { d: path, class: `line ${name}` });
  }));
}

/** The last gaps of an answer, redrawn in place. */
export class GapPlot {
  static Shown = 120;
  #path = svg('path', { class: 'gaps' });
  #caption = element('figcaption');
  node = element('figure', { class: 'gap-plot' },
    svg('svg', { viewBox: `0 0 ${Width} ${Height}`, class: 'plot', role: 'img', 'aria-label': 'Time between the last pieces of the answer', preserveAspectRatio: 'none' }, this.#path), this.#caption);

  draw(gaps) {
    const shown = gaps.slice(-GapPlot.Shown);
    const most = Math.max(1, ...shown);
    const step = Width / GapPlot.Shown;
    this.#path.setAttribute('d', shown.map((gap, index) => `M${((index + 0.5) * step).toFixed(1)} ${Height}v${(-Math.max(0.5, (gap / most) * (Height - 2))).toFixed(1)}`).join(''));
    this.#caption.textContent = shown.length > 0 ? `gaps of the last ${shown.length} pieces, up to ${seconds(most / 1000)}` : '';
  }
}
