// A conversation that branches: each message knows the one before it, and one of its followers is the one that is shown.

export class Conversation {
  #root = { id: 0, parent: null, children: [], shown: 0 };
  #count = 0;

  /** The messages that are shown, in order. */
  get path() {
    const path = [];
    for (let node = this.#root.children[this.#root.shown]; node; node = node.children[node.shown]) path.push(node);
    return path;
  }

  get last() {
    return this.path.at(-1) ?? this.#root;
  }

  /** Adds a message behind another one, and shows it; beside others it is a branch. */
  add(message, behind = this.last) {
    const node = { ...message, id: ++this.#count, parent: behind, children: [], shown: 0 };
    behind.children.push(node);
    behind.shown = behind.children.length - 1;
    return node;
  }

  /** The messages before one. */
  before(node) {
    const path = [];
    for (let one = node.parent; one && one !== this.#root; one = one.parent) path.unshift(one);
    return path;
  }

  /** Which of how many branches it is, from 1. */
  place(node) {
    return { number: node.parent.children.indexOf(node) + 1, count: node.parent.children.length };
  }

  /** Shows another branch in the place of this one. */
  turn(node, step) {
    const { number, count } = this.place(node);
    node.parent.shown = Math.min(count - 1, Math.max(0, number - 1 + step));
  }

  /** All of it as plain objects, each behind the one before it; `describe` says what is kept of a message. */
  save(describe) {
    const saved = [];
    const open = [...this.#root.children].reverse();
    while (open.length > 0) {
      const node = open.pop();
      saved.push({ ...describe(node), id: node.id, parent: node.parent.id, shown: node.shown });
      open.push(...[...node.children].reverse());
    }
    return { shown: this.#root.shown, messages: saved };
  }

  /** The opposite of `save`; `revive` makes a message of what was kept. */
  restore({ shown, messages }, revive) {
    const known = new Map([[0, this.#root]]);
    for (const saved of messages) {
      const parent = known.get(saved.parent);
      if (!parent) continue;
      const node = { ...revive(saved), id: saved.id, parent, children: [], shown: saved.shown };
      parent.children.push(node);
      known.set(node.id, node);
      this.#count = Math.max(this.#count, node.id);
    }
    this.#root.shown = shown;
  }

  clear() {
    this.#root.children = [];
    this.#root.shown = 0;
  }
}
