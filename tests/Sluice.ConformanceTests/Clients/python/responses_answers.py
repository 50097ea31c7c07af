"""One answer, read by OpenAI's SDK from the upstream as a response and through the hub as a chat completion: both must tell the same."""

import json
import os
import sys

import openai

model = os.environ["SLUICE_MODEL"]
tools = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]
messages = [{"role": "user", "content": "Weather in Paris?"}]

with openai.OpenAI(base_url=sys.argv[1], api_key="sk-none", max_retries=0).responses.stream(model=model, input=messages) as stream:
    for event in stream:
        pass
    truth = stream.get_final_response()
thinking = "".join(part.text for item in truth.output if item.type == "reasoning" for part in item.summary)
text = truth.output_text
calls = [(item.call_id, item.name, json.loads(item.arguments)) for item in truth.output if item.type == "function_call"]
assert len(calls) == 2 and text and thinking

client = openai.OpenAI(max_retries=0)
request = {"model": model, "messages": messages, "tools": tools}


def check(message, finish_reason, usage):
    assert message.role == "assistant"
    assert (message.content, message.reasoning_content, finish_reason) == (text, thinking, "tool_calls"), message
    assert [(call.id, call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls] == calls, message
    assert (usage.prompt_tokens, usage.completion_tokens) == (truth.usage.input_tokens, truth.usage.output_tokens), usage
    assert usage.prompt_tokens_details.cached_tokens == truth.usage.input_tokens_details.cached_tokens
    assert usage.completion_tokens_details.reasoning_tokens == truth.usage.output_tokens_details.reasoning_tokens


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
assert [choice.delta.role for chunk in chunks for choice in chunk.choices if choice.delta.role] == ["assistant"]

# The message of the SDK goes back as it came.
history = [*messages, answer.choices[0].message, *({"role": "tool", "tool_call_id": call[0], "content": "sunny"} for call in calls)]
client.chat.completions.create(model=model, messages=history, tools=tools)
print("ok")
