// Colors code: comments, texts, numbers, the words of a language. It makes nodes and never markup, looks at each character once, and knows
// little on purpose: what it doesn't recognize stays as it is.

import { element } from './dom.js';

// Longer code stays plain.
const CharactersMax = 50_000;

const words = (text) => new Set(text.split(' '));
const Shared = 'if else for while do switch case default break continue return true false null new try catch finally throw class';
const C = words(`${Shared} int long short char float double void const static struct union enum typedef sizeof unsigned signed extern auto bool goto namespace using template typename public private protected virtual override final delete this operator inline constexpr nullptr include define ifdef ifndef endif`);
const CSharp = words(`${Shared} foreach in using namespace public private protected internal static readonly const sealed abstract override virtual async await var void int long string bool double decimal object record struct interface enum get set init required is as not and or with when where yield lock ref out params this base checked unsafe stackalloc nameof typeof default switch`);
const JavaScript = words(`${Shared} const let var function async await of in import export from default extends super this typeof instanceof delete void yield static get set undefined interface type enum implements private public readonly as satisfies`);
const Python = words('and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return try while with yield True False None match case self');
const Go = words('break case chan const continue default defer else fallthrough for func go goto if import interface map package range return select struct switch type var nil true false string int error byte bool');
const Rust = words('as async await break const continue crate dyn else enum extern false fn for if impl in let loop match mod move mut pub ref return self Self static struct super trait true type unsafe use where while');
const Java = words(`${Shared} abstract boolean byte char double extends final float implements import instanceof int interface long package private protected public static super synchronized this throws void volatile var record sealed fun val when object override suspend data`);
const Shell = words('if then else elif fi for while until do done case esac function in return export local echo cd set source exit read shift trap sudo');
const Sql = words('select from where insert into values update set delete create table drop alter index join left right inner outer on group by order having limit offset union all distinct as and or not null is in like between exists case when then else end primary key foreign references default with returning begin commit rollback int integer text varchar boolean timestamp');
const Literals = words('true false null yes no on off');

const Quotes = String.raw`"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?`;
const Number = String.raw`\b\d[\w.]*`;
const Word = String.raw`[A-Za-z_$][\w$]*`;
// A comment that does not close goes to the end.
const Slashes = String.raw`\/\/[^\n]*|\/\*(?:[^*]|\*(?!\/))*(?:\*\/)?`;
const rule = (comment, text) => new RegExp(`(${comment})|(${text})|(${Number})|(${Word})`, 'gy');
const Never = '(?!)';

const families = [
  { names: 'c h cpp c++ cc hpp objc cuda', words: C, rule: () => rule(Slashes, Quotes) },
  { names: 'cs csharp c#', words: CSharp, rule: () => rule(Slashes, Quotes) },
  { names: 'js javascript mjs jsx ts typescript tsx', words: JavaScript, rule: () => rule(Slashes, `${Quotes}|${String.raw`\x60(?:[^\x60\\]|\\[^])*\x60?`}`) },
  { names: 'py python python3', words: Python, rule: () => rule('#[^\\n]*', String.raw`"""(?:[^"]|"(?!""))*(?:""")?|'''(?:[^']|'(?!''))*(?:''')?|${Quotes}`) },
  { names: 'go golang', words: Go, rule: () => rule(Slashes, `${Quotes}|\x60[^\x60]*\x60?`) },
  { names: 'rust rs', words: Rust, rule: () => rule(Slashes, String.raw`"(?:[^"\\]|\\[^])*"?`) },
  { names: 'java kotlin kt scala swift dart php', words: Java, rule: () => rule(Slashes, Quotes) },
  { names: 'sh bash shell zsh console dockerfile makefile ruby rb perl', words: Shell, rule: () => rule('#[^\\n]*', String.raw`"(?:[^"\\]|\\[^])*"?|'[^']*'?`) },
  { names: 'sql postgresql sqlite mysql', words: Sql, isFolded: true, rule: () => rule('--[^\\n]*', String.raw`'(?:[^']|'')*'?`) },
  { names: 'json jsonc json5', words: Literals, rule: () => rule(Slashes, Quotes) },
  { names: 'yaml yml toml ini', words: Literals, rule: () => rule('#[^\\n]*', Quotes) },
  { names: 'html xml svg', words: new Set(), rule: () => rule(String.raw`<!--(?:[^-]|-(?!->))*(?:-->)?`, Quotes) },
  { names: 'css scss less', words: new Set(), rule: () => rule(String.raw`\/\*(?:[^*]|\*(?!\/))*(?:\*\/)?`, Quotes) },
  { names: 'diff patch', words: new Set(), rule: () => rule(Never, Never), isDiff: true },
];

const byName = new Map(families.flatMap((family) => family.names.split(' ').map((name) => [name, family])));

/** Nodes of code in a language; null where there is nothing to color. */
export function highlight(code, language) {
  // Small models write the language below the fence.
  const name = language || /^[\w+#]{1,12}(?=\n)/.exec(code)?.[0] || '';
  const family = byName.get(name.toLowerCase());
  if (!family || code.length > CharactersMax) return null;
  return family.isDiff ? diff(code) : tokens(code, family);
}

function tokens(code, family) {
  const pattern = family.rule();
  const nodes = [];
  let plain = '';
  for (let at = 0; at < code.length;) {
    pattern.lastIndex = at;
    const match = pattern.exec(code);
    const text = match?.[0] || code[at];
    const kind = !match?.[0] ? null : match[1] ? 'comment' : match[2] ? 'text' : match[3] ? 'number'
      : family.words.has(family.isFolded ? text.toLowerCase() : text) ? 'word' : null;
    if (kind === null) {
      plain += text;
    } else {
      if (plain) nodes.push(plain);
      plain = '';
      nodes.push(element('span', { class: `hl-${kind}` }, text));
    }
    at += text.length;
  }
  if (plain) nodes.push(plain);
  return nodes;
}

function diff(code) {
  return code.split('\n').flatMap((line, index, lines) => {
    const text = index < lines.length - 1 ? `${line}\n` : line;
    const kind = line.startsWith('+') ? 'added' : line.startsWith('-') ? 'removed' : line.startsWith('@@') ? 'number' : null;
    return kind === null ? [text] : [element('span', { class: `hl-${kind}` }, text)];
  });
}
