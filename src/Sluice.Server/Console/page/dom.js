// Makes elements of names, attributes and texts. No text ever becomes markup here: children are nodes, or text.

const SvgNamespace = 'http://www.w3.org/2000/svg';

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name === 'value' || name === 'checked' || name === 'disabled' || name === 'open' || name === 'hidden') node[name] = value;
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An element of HTML. Attributes that begin with "on" are listeners. */
export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** An element of SVG. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SvgNamespace, name), attributes, children);
}

/** A button that does something. */
export function button(text, action, attributes = {}) {
  return element('button', { type: 'button', onclick: action, ...attributes }, text);
}

/** A labelled control, in one block. */
export function field(text, control, note) {
  const id = control.id || (control.id = `c${++count}`);
  const parts = [element('label', { for: id }, text), control];
  if (note) {
    parts.push(element('p', { class: 'note', id: `${id}-note` }, note));
    control.setAttribute('aria-describedby', `${id}-note`);
  }
  return element('div', { class: 'field' }, parts);
}

let count = 0;

/** Tells those who listen to the page, once. */
export function announce(text) {
  document.getElementById('status').textContent = text;
}

/** Shows a failure until it is closed or the next one comes. */
export function complain(text) {
  const place = document.getElementById('alert');
  place.replaceChildren();
  if (text) place.append(element('p', {}, text, ' ', button('Close', () => place.replaceChildren(), { class: 'small' })));
}
