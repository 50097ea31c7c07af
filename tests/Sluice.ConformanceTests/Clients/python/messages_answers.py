"""One answer, read by Anthropic's own SDK from the upstream and by OpenAI's through the hub: both must tell the same."""

import json
import os
import sys

import anthropic
import openai

model = os.environ["SLUICE_MODEL"]
tools = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]
messages = [{"role": "user", "content": "Weather in Paris?"}]

with anthropic.Anthropic(base_url=sys.argv[1], api_key="sk-none", max_retries=0).messages.stream(
    model=model, max_tokens=100, messages=messages
) as stream:
    truth = stream.get_final_message()
thinking = "".join(block.thinking for block in truth.content if block.type == "thinking")
text = "".join(block.text for block in truth.content if block.type == "text")
calls = [(block.id, block.name, block.input) for block in truth.content if block.type == "tool_use"]
assert len(calls) == 2 and text and thinking
prompt = truth.usage.input_tokens + (truth.usage.cache_read_input_tokens or 0) + (truth.usage.cache_creation_input_tokens or 0)

client = openai.OpenAI(max_retries=0)
request = {"model": model, "messages": messages, "tools": tools}


def check(message, finish_reason, usage):
    assert message.role == "assistant"
    assert (message.content, message.reasoning_content, finish_reason) == (text, thinking, "tool_calls"), message
    assert [(call.id, call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls] == calls, message
    assert (usage.prompt_tokens, usage.completion_tokens) == (prompt, truth.usage.output_tokens), usage
    assert usage.prompt_tokens_details.cached_tokens == truth.usage.cache_read_input_tokens


answer = client.chat.completions.create(**request)
check(answer.choices[0].message, answer.choices[0].finish_reason, answer.usage)

# The accumulator of the SDK.
with client.chat.completions.stream(**request, stream_options={"include_usage": True}) as events:
    for event in events:
        pass
    final = events.get_final_completion()
check(final.choices[0].message, final.choices[0].finish_reason, final.usage)

chunks = list(client.chat.completions.create(**request, stream=True, stream_options={"include_usage": True}))
assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
assert [choice.delta.role for chunk in chunks for choice in chunk.choices if choice.delta.role] == ["assistant"]

# The message of the SDK goes back as it came.
history = [*messages, answer.choices[0].message, *({"role": "tool", "tool_call_id": call[0], "content": "sunny"} for call in calls)]
client.chat.completions.create(model=model, messages=history, tools=tools)
print("ok")
