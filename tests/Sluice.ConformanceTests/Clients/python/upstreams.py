"""Models of upstreams with a script each: one that is plain, calls tools, is slow to begin, is rescued, or breaks off for good."""

import sys

import openai

client = openai.OpenAI(max_retries=0)
tools = [{"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}} for name in "fg"]


def request(model, **more):
    return {"model": model, "messages": [{"role": "user", "content": "Hi"}], **more}


def stream(model, **more):
    """The chunks, and what the SDK's accumulator makes of the same request."""
    asked = request(model, stream_options={"include_usage": True}, **more)
    chunks = list(client.chat.completions.create(**asked, stream=True))
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    with client.chat.completions.stream(**asked) as events:
        whole = events.get_final_completion()
    return chunks, whole


for model, content in (("plain", "Grüße 🙂"), ("slow", "Hello"), ("rescued", "The quick brown fox")):
    chunks, whole = stream(model)
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == content
    assert [choice.delta.role for chunk in chunks for choice in chunk.choices if choice.delta.role] == ["assistant"]
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == ["stop"]
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == [10]
    assert (whole.choices[0].message.content, whole.choices[0].message.role, whole.usage.total_tokens) == (content, "assistant", 10)
    answer = client.chat.completions.create(**request(model))
    assert (answer.choices[0].message.content, answer.usage.total_tokens) == (content, 10)

expected = [("a", "f", '{"x":1}'), ("b", "g", "{}")]
done = []
with client.chat.completions.stream(**request("tools", tools=tools)) as events:
    for event in events:
        if event.type == "tool_calls.function.arguments.done":
            done.append((event.index, event.name, event.arguments))
    whole = events.get_final_completion()
assert done == [(0, "f", '{"x":1}'), (1, "g", "{}")], done
for answer in (whole, client.chat.completions.create(**request("tools", tools=tools))):
    (choice,) = answer.choices
    assert [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls] == expected, choice
    assert choice.finish_reason == "tool_calls"

text = ""
try:
    for chunk in client.chat.completions.create(**request("broken"), stream=True):
        assert chunk.choices[0].finish_reason is None
        text += chunk.choices[0].delta.content or ""
    sys.exit("the broken stream did not raise")
except openai.APIError as error:
    assert type(error) is openai.APIError and error.code == "upstream_truncated", repr(error)
assert text == "The quick", text
try:
    client.chat.completions.create(**request("broken"))
    sys.exit("the broken answer did not raise")
except openai.InternalServerError as error:
    assert (error.status_code, error.code) == (502, "upstream_truncated"), repr(error)

# The hub does not wait half a minute, and the SDK is told of it.
for model, kind, status in (("limited", openai.RateLimitError, 429), ("down", openai.InternalServerError, 503)):
    try:
        client.chat.completions.create(**request(model), stream=True)
        sys.exit(f"{model} did not raise")
    except openai.APIStatusError as error:
        assert type(error) is kind and error.status_code == status and error.body["message"] == "busy", repr(error)
print("ok")
