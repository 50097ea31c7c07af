// The three doors that answers come through: how a conversation becomes a request of each, and what its events say.
//
// A message here is {role, text, images, reasoning, calls, results, raw}: of a user with images as data URLs; of an assistant with calls
// {id, name, arguments}; of a tool with results {id, name, text}. `raw` is what a door wants back unchanged.

const parse = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
};

const image = (url) => {
  const match = /^data:([^;,]+);base64,(.*)$/s.exec(url);
  return match ? { type: match[1], data: match[2] } : { type: '', data: '' };
};

function chatBody({ model, system, messages, options }) {
  const list = [];
  if (system) list.push({ role: 'system', content: system });
  for (const message of messages) {
    if (message.role === 'user') {
      list.push({
        role: 'user',
        content: message.images?.length
          ? [{ type: 'text', text: message.text }, ...message.images.map((url) => ({ type: 'image_url', image_url: { url } }))]
          : message.text,
      });
    } else if (message.role === 'assistant') {
      // An answer that was stopped or failed before its first piece says nothing, which no API takes for a message.
      if (!message.text && !message.calls?.length && !message.reasoning) continue;
      const entry = { role: 'assistant', content: message.text || (message.calls?.length ? null : '') };
      if (message.calls?.length) entry.tool_calls = message.calls.map((call) => ({ id: call.id, type: 'function', function: { name: call.name, arguments: call.arguments } }));
      if (message.reasoning) entry.reasoning_content = message.reasoning;
      list.push(entry);
    } else {
      for (const result of message.results) list.push({ role: 'tool', tool_call_id: result.id, content: result.text });
    }
  }
  const body = { model, messages: list, stream: true, stream_options: { include_usage: true } };
  if (options.temperature !== null) body.temperature = options.temperature;
  if (options.topP !== null) body.top_p = options.topP;
  if (options.maxTokens !== null) body.max_completion_tokens = options.maxTokens;
  if (options.seed !== null) body.seed = options.seed;
  if (options.stop.length) body.stop = options.stop;
  if (options.tools.length) body.tools = options.tools.map((tool) => ({ type: 'function', function: tool }));
  if (options.schema) body.response_format = { type: 'json_schema', json_schema: { name: 'answer', schema: options.schema } };
  return { ...body, ...options.more };
}

function readChat(answer, { data }) {
  const chunk = parse(data);
  if (chunk.error) {
    answer.error = chunk.error.message ?? 'The answer failed.';
    return;
  }
  if (chunk.usage) answer.usage = { input: chunk.usage.prompt_tokens, output: chunk.usage.completion_tokens, reasoning: chunk.usage.completion_tokens_details?.reasoning_tokens ?? 0 };
  const choice = chunk.choices?.find((one) => one.index === 0);
  if (!choice) return;
  const delta = choice.delta ?? {};
  if (delta.reasoning_content ?? delta.reasoning) answer.addReasoning(delta.reasoning_content ?? delta.reasoning);
  if (delta.content) answer.addText(delta.content);
  if (delta.refusal) answer.addText(delta.refusal);
  for (const part of delta.tool_calls ?? []) {
    const call = (answer.calls[part.index ?? 0] ??= { id: '', name: '', arguments: '' });
    if (part.id) call.id = part.id;
    if (part.function?.name) call.name = part.function.name;
    answer.addArguments(call, part.function?.arguments ?? '');
  }
  if (choice.finish_reason) {
    answer.finish = choice.finish_reason;
    answer.cancelled = chunk.sluice?.cancelled === true || choice.sluice?.cancelled === true;
  }
}

function responsesBody({ model, system, messages, options }) {
  const input = [];
  for (const message of messages) {
    if (message.role === 'user') {
      input.push({ role: 'user', content: [{ type: 'input_text', text: message.text }, ...(message.images ?? []).map((url) => ({ type: 'input_image', image_url: url }))] });
    } else if (message.role === 'assistant') {
      if (message.text) input.push({ role: 'assistant', content: [{ type: 'output_text', text: message.text }] });
      for (const call of message.calls ?? []) input.push({ type: 'function_call', call_id: call.id, name: call.name, arguments: call.arguments });
    } else {
      for (const result of message.results) input.push({ type: 'function_call_output', call_id: result.id, output: result.text });
    }
  }
  const body = { model, input, stream: true };
  if (system) body.instructions = system;
  if (options.temperature !== null) body.temperature = options.temperature;
  if (options.topP !== null) body.top_p = options.topP;
  if (options.maxTokens !== null) body.max_output_tokens = options.maxTokens;
  if (options.tools.length) body.tools = options.tools.map((tool) => ({ type: 'function', ...tool }));
  if (options.schema) body.text = { format: { type: 'json_schema', name: 'answer', schema: options.schema } };
  return { ...body, ...options.more };
}

function readResponses(answer, { data }) {
  const event = parse(data);
  switch (event.type) {
    case 'response.output_text.delta':
    case 'response.refusal.delta':
      answer.addText(event.delta);
      break;
    case 'response.reasoning_text.delta':
    case 'response.reasoning_summary_text.delta':
      answer.addReasoning(event.delta);
      break;
    case 'response.output_item.added':
      if (event.item?.type === 'function_call') answer.calls[answer.slot(event.output_index)] = { id: event.item.call_id, name: event.item.name, arguments: '' };
      break;
    case 'response.function_call_arguments.delta':
      answer.addArguments(answer.calls[answer.slot(event.output_index)] ?? { arguments: '' }, event.delta);
      break;
    case 'response.completed':
    case 'response.incomplete': {
      const usage = event.response.usage;
      if (usage) answer.usage = { input: usage.input_tokens, output: usage.output_tokens, reasoning: usage.output_tokens_details?.reasoning_tokens ?? 0 };
      answer.finish = event.response.incomplete_details?.reason ?? (answer.calls.some(Boolean) ? 'tool_calls' : 'stop');
      answer.cancelled = event.response.status === 'cancelled';
      break;
    }
    case 'response.cancelled':
      answer.finish = 'stop';
      answer.cancelled = true;
      break;
    case 'response.failed':
      answer.error = event.response.error?.message ?? 'The answer failed.';
      break;
    case 'error':
      answer.error = event.message ?? event.error?.message ?? 'The answer failed.';
      break;
  }
}

function messagesBody({ model, system, messages, options }) {
  const list = [];
  for (const message of messages) {
    if (message.role === 'user') {
      list.push({
        role: 'user',
        content: [
          ...(message.images ?? []).map((url) => ({ type: 'image', source: { type: 'base64', media_type: image(url).type, data: image(url).data } })),
          { type: 'text', text: message.text },
        ],
      });
    } else if (message.role === 'assistant') {
      const content = [...(message.raw ?? [])];
      if (message.text) content.push({ type: 'text', text: message.text });
      for (const call of message.calls ?? []) content.push({ type: 'tool_use', id: call.id, name: call.name, input: parse(call.arguments || '{}') });
      if (content.length > 0) list.push({ role: 'assistant', content });
    } else {
      list.push({ role: 'user', content: message.results.map((result) => ({ type: 'tool_result', tool_use_id: result.id, content: result.text })) });
    }
  }
  // This API wants a limit.
  const body = { model, max_tokens: options.maxTokens ?? 4096, messages: list, stream: true };
  if (system) body.system = system;
  if (options.temperature !== null) body.temperature = options.temperature;
  if (options.topP !== null) body.top_p = options.topP;
  if (options.stop.length) body.stop_sequences = options.stop;
  if (options.tools.length) body.tools = options.tools.map((tool) => ({ name: tool.name, description: tool.description, input_schema: tool.parameters ?? { type: 'object' } }));
  if (options.schema) body.output_config = { format: { type: 'json_schema', schema: options.schema } };
  return { ...body, ...options.more };
}

function readMessages(answer, { data }) {
  const event = parse(data);
  switch (event.type) {
    case 'message_start':
      answer.usage = { input: event.message?.usage?.input_tokens ?? 0, output: 0, reasoning: 0 };
      break;
    case 'content_block_start': {
      const block = event.content_block ?? {};
      if (block.type === 'tool_use') answer.calls[answer.slot(event.index)] = { id: block.id, name: block.name, arguments: '' };
      else if (block.type === 'thinking' || block.type === 'redacted_thinking') answer.raw.push({ ...block });
      break;
    }
    case 'content_block_delta': {
      const delta = event.delta ?? {};
      const thinking = answer.raw.at(-1);
      if (delta.type === 'text_delta') answer.addText(delta.text);
      else if (delta.type === 'thinking_delta') {
        answer.addReasoning(delta.thinking);
        if (thinking) thinking.thinking = (thinking.thinking ?? '') + delta.thinking;
      } else if (delta.type === 'signature_delta' && thinking) thinking.signature = (thinking.signature ?? '') + delta.signature;
      else if (delta.type === 'input_json_delta') answer.addArguments(answer.calls[answer.slot(event.index)] ?? { arguments: '' }, delta.partial_json);
      break;
    }
    case 'message_delta': {
      const usage = event.usage ?? {};
      const cached = (usage.cache_read_input_tokens ?? 0) + (usage.cache_creation_input_tokens ?? 0);
      answer.usage = { input: (usage.input_tokens ?? 0) + cached || answer.usage?.input, output: usage.output_tokens ?? 0, reasoning: 0 };
      const reasons = { end_turn: 'stop', max_tokens: 'length', tool_use: 'tool_calls', stop_sequence: 'stop' };
      answer.finish = reasons[event.delta?.stop_reason] ?? event.delta?.stop_reason ?? null;
      break;
    }
    case 'error':
      answer.error = event.error?.message ?? 'The answer failed.';
      break;
  }
}

/** The doors, by the name that the hub gives them. */
export const doors = [
  { id: 'chat', title: 'Chat completions', path: '/v1/chat/completions', build: chatBody, read: readChat, base: 'OPENAI' },
  { id: 'responses', title: 'Responses', path: '/v1/responses', build: responsesBody, read: readResponses, base: 'OPENAI' },
  { id: 'messages', title: 'Messages', path: '/v1/messages', build: messagesBody, read: readMessages, base: 'ANTHROPIC' },
];

export function doorOfPath(path) {
  return doors.find((door) => path === door.path || path.startsWith(`${door.path}/`)) ?? null;
}
