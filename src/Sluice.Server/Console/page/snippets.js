// The request of the playground as a program, which reads the key from the environment.

const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

// JSON is Python but for three words; they are only replaced outside of strings.
function python(value, indent = 0) {
  const pad = '    '.repeat(indent + 1);
  if (value === null) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `[\n${value.map((one) => `${pad}${python(one, indent + 1)},\n`).join('')}${'    '.repeat(indent)}]`;
  if (typeof value === 'object') {
    const entries = Object.entries(value);
    return entries.length === 0 ? '{}' : `{\n${entries.map(([name, one]) => `${pad}${literal(name)}: ${python(one, indent + 1)},\n`).join('')}${'    '.repeat(indent)}}`;
  }
  return typeof value === 'string' ? literal(value) : String(value);
}

// A lone half of a surrogate pair is written as such everywhere.
const literal = (text) => JSON.stringify(text).replace(/\u2028|\u2029|\u007f/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);

function curl(door, body, origin) {
  const lines = [
    `curl -N ${shell(origin + door.path)} \\`,
    `  -H "Authorization: Bearer $SLUICE_API_KEY" \\`,
    `  -H 'Content-Type: application/json' \\`,
  ];
  if (door.id === 'messages') lines.push(`  -H 'anthropic-version: 2023-06-01' \\`);
  return [...lines, `  -d ${shell(JSON.stringify(body, null, 2))}`].join('\n');
}

// What Anthropic's SDK for Python knows; it refuses any other argument, and sends what is in extra_body.
const MessagesArguments = ['model', 'messages', 'max_tokens', 'system', 'tools', 'tool_choice', 'stop_sequences', 'thinking', 'metadata'];

function messagesArguments(body) {
  const entries = Object.entries(body);
  const more = Object.fromEntries(entries.filter(([name]) => !MessagesArguments.includes(name)));
  const known = Object.fromEntries(entries.filter(([name]) => MessagesArguments.includes(name)));
  return Object.keys(more).length === 0 ? known : { ...known, extra_body: more };
}

function pythonProgram(door, body, origin) {
  const { stream, stream_options: streamOptions, ...rest } = body;
  if (door.id === 'messages') {
    return `import os\n\nfrom anthropic import Anthropic\n\nclient = Anthropic(base_url=${literal(origin)}, api_key=os.environ.get("SLUICE_API_KEY", "unused"))\n`
      + `with client.messages.stream(**${python(messagesArguments(rest))}) as stream:\n    for text in stream.text_stream:\n        print(text, end="", flush=True)\nprint()\n`;
  }
  const head = `import os\n\nfrom openai import OpenAI\n\nclient = OpenAI(base_url=${literal(`${origin}/v1`)}, api_key=os.environ.get("SLUICE_API_KEY", "unused"))\n`;
  return door.id === 'responses'
    ? `${head}for event in client.responses.create(**${python(body)}):\n    if event.type == "response.output_text.delta":\n        print(event.delta, end="", flush=True)\nprint()\n`
    : `${head}for chunk in client.chat.completions.create(**${python(body)}):\n    if chunk.choices and chunk.choices[0].delta.content:\n        print(chunk.choices[0].delta.content, end="", flush=True)\nprint()\n`;
}

function javascript(door, body, origin) {
  const json = JSON.stringify(body, null, 2);
  const key = 'process.env.SLUICE_API_KEY ?? "unused"';
  if (door.id === 'messages') {
    return `import Anthropic from "@anthropic-ai/sdk";\n\nconst client = new Anthropic({ baseURL: ${literal(origin)}, apiKey: ${key} });\n`
      + `const stream = await client.messages.create(${json});\nfor await (const event of stream) {\n  if (event.type === "content_block_delta" && event.delta.type === "text_delta") process.stdout.write(event.delta.text);\n}\nconsole.log();\n`;
  }
  const head = `import OpenAI from "openai";\n\nconst client = new OpenAI({ baseURL: ${literal(`${origin}/v1`)}, apiKey: ${key} });\n`;
  return door.id === 'responses'
    ? `${head}const stream = await client.responses.create(${json});\nfor await (const event of stream) {\n  if (event.type === "response.output_text.delta") process.stdout.write(event.delta);\n}\nconsole.log();\n`
    : `${head}const stream = await client.chat.completions.create(${json});\nfor await (const chunk of stream) {\n  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");\n}\nconsole.log();\n`;
}

function csharp(door, body, origin) {
  const json = JSON.stringify(body, null, 4);
  let quotes = '"""';
  while (json.includes(quotes)) quotes += '"';
  return `using System.Net.Http.Headers;
using System.Text;

using var http = new HttpClient { Timeout = Timeout.InfiniteTimeSpan };
using var request = new HttpRequestMessage(HttpMethod.Post, ${literal(origin + door.path)})
{
    Content = new StringContent(
${quotes}
${json}
${quotes}, Encoding.UTF8, "application/json"),
};
request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", Environment.GetEnvironmentVariable("SLUICE_API_KEY") ?? "unused");
using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
response.EnsureSuccessStatusCode();
using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
while (await reader.ReadLineAsync() is { } line) Console.WriteLine(line);
`;
}

/** Languages and how each writes a request: (door, body, origin without a path) => text. */
export const languages = [
  { id: 'curl', title: 'curl', write: curl },
  { id: 'python', title: 'Python', write: pythonProgram },
  { id: 'javascript', title: 'JavaScript', write: javascript },
  { id: 'csharp', title: 'C#', write: csharp },
];
