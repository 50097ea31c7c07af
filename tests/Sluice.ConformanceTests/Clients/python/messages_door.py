"""Anthropic's own SDK in front of the hub: streams, whole messages, tools, thinking, counts, models and errors."""

import os
import sys

import anthropic

model = os.environ["SLUICE_MODEL"]
mode = sys.argv[2]
client = anthropic.Anthropic(base_url=sys.argv[1], api_key="sk-none", max_retries=0)
tools = [{"name": "get_weather", "description": "Weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}


def stream(messages, **more):
    with client.messages.stream(model=model, max_tokens=100, messages=messages, **more) as events:
        return events.get_final_message()


def plain(message):
    return [block.model_dump(exclude_none=True) for block in message.content], message.stop_reason, message.stop_sequence


def say(text):
    return [{"role": "user", "content": text}]


if mode == "local":
    streamed = stream(say("text"))
    whole = client.messages.create(model=model, max_tokens=100, messages=say("text"))
    assert plain(streamed) == plain(whole), (streamed, whole)
    assert whole.content[0].text == " one two three" and whole.stop_reason == "end_turn", whole
    assert whole.id.startswith("msg_") and streamed.usage.output_tokens == whole.usage.output_tokens
    stopped = client.messages.create(model=model, max_tokens=100, messages=say("text"), stop_sequences=[" two"])
    assert (stopped.content[0].text, stopped.stop_reason, stopped.stop_sequence) == (" one", "stop_sequence", " two"), stopped
    counted = client.messages.count_tokens(model=model, messages=say("text"))
    assert counted.input_tokens == whole.usage.input_tokens + (whole.usage.cache_read_input_tokens or 0), (counted, whole.usage)
    listed = client.models.list(limit=1)
    assert listed.data[0].id == model and listed.has_more, listed
    assert [item.id for item in client.models.list(limit=1)][0] == model
    try:
        client.messages.create(model="nobody", max_tokens=1, messages=say("x"))
        raise AssertionError("no error")
    except anthropic.NotFoundError as error:
        assert error.body["error"]["type"] == "not_found_error" and error.request_id == error.body["request_id"], error.body
    try:
        client.messages.create(model=model, max_tokens=0, messages=say("x"))
        raise AssertionError("no error")
    except anthropic.BadRequestError as error:
        assert "max_tokens" in str(error), error
elif mode == "calls":
    first = [{"role": "user", "content": [PNG, {"type": "text", "text": "Weather in Paris?"}]}]
    for message in (stream(first, tools=tools), client.messages.create(model=model, max_tokens=100, messages=first, tools=tools)):
        kinds = [block.type for block in message.content]
        assert kinds == ["thinking", "text", "tool_use", "tool_use"], message
        assert message.stop_reason == "tool_use" and message.content[0].signature, message
        calls = [(block.name, block.input) for block in message.content if block.type == "tool_use"]
        assert calls == [("get_weather", {"city": "Paris"}), ("get_time", {})], calls
    results = [{"type": "tool_result", "tool_use_id": block.id, "content": "sunny"} for block in message.content if block.type == "tool_use"]
    stream([*first, {"role": "assistant", "content": message.content}, {"role": "user", "content": results}], tools=tools)
elif mode == "broken":
    try:
        stream(say("x"))
        raise AssertionError("no error")
    except anthropic.APIStatusError as error:
        assert error.body["error"]["type"] == sys.argv[3], error.body
else:
    try:
        stream(say("x"))
        raise AssertionError("no error")
    except getattr(anthropic, sys.argv[3]) as error:
        assert error.response.headers["request-id"] == error.body["request_id"], error.body
