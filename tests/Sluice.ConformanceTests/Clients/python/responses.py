"""The Responses API of the hub as the SDK and raw bytes see it: objects, streams, conversations, background, cuts."""

import json
import os
import time

import httpx
import openai

model = os.environ["SLUICE_MODEL"]
base = os.environ["OPENAI_BASE_URL"]
client = openai.OpenAI(max_retries=0)
ask = {"model": model, "input": "Say hello.", "max_output_tokens": 60, "temperature": 0}

# Every key that the vendor's description of the object requires (door-001).
whole = client.responses.create(**ask)
required = {
    "id", "object", "created_at", "error", "incomplete_details", "instructions", "model", "tools", "output", "parallel_tool_calls",
    "metadata", "tool_choice", "temperature", "top_p", "status", "usage", "text", "truncation", "store", "background",
}
raw = httpx.post(f"{base}/responses", json=ask, timeout=60).json()
assert required <= raw.keys(), required - raw.keys()
assert raw["usage"]["input_tokens_details"].keys() >= {"cached_tokens"} and raw["usage"]["output_tokens_details"].keys() >= {"reasoning_tokens"}
assert whole.output_text and whole.output[0].type == "message" and whole.status in ("completed", "incomplete")

# The helper's accumulator, numbers without gaps, one identity from the first event to the object (door-002, 003, 004, 008).
with client.responses.stream(**ask) as stream:
    events = list(stream)
    final = stream.get_final_response()
assert final.output_text == whole.output_text, (final.output_text, whole.output_text)
assert [event.sequence_number for event in events] == list(range(len(events)))
assert [event.type for event in events][:4] == [
    "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
]
ids = {event.item_id for event in events if hasattr(event, "item_id")} | {event.item.id for event in events if hasattr(event, "item")}
assert ids == {final.output[0].id}, ids
fetched = client.responses.retrieve(final.id)
assert fetched.output_text == final.output_text and fetched.usage == final.usage

# Cut at a bound: the item says so too (door-011).
short = client.responses.create(**{**ask, "max_output_tokens": 3})
assert (short.status, short.incomplete_details.reason, short.output[0].status) == ("incomplete", "max_output_tokens", "incomplete")
assert short.usage.output_tokens == 3

# Log probabilities where they are asked for (door-012).
likely = client.responses.create(**{**ask, "max_output_tokens": 4}, include=["message.output_text.logprobs"], top_logprobs=2)
tokens = likely.output[0].content[0].logprobs
assert len(tokens) == 4 and all(len(token.top_logprobs) == 2 and token.bytes is not None for token in tokens)

# What clients may leave out or leave null, every role, both forms of content (door-015).
nulls = {name: None for name in (
    "instructions", "max_output_tokens", "metadata", "parallel_tool_calls", "previous_response_id", "reasoning", "service_tier", "store",
    "temperature", "text", "tool_choice", "tools", "top_p", "truncation", "user", "include", "background", "stream")}
conversation = [
    {"role": "system", "content": "Be short."},
    {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be kind."}]},
    {"role": "user", "content": [{"type": "input_text", "text": "Hello"}]},
    {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [{"type": "output_text", "text": "Hi.", "annotations": []}]},
    {"type": "compaction", "encrypted_content": "x"},
    {"type": "foo_bar", "anything": 1},
    {"role": "user", "content": "Bye"},
]
reply = httpx.post(f"{base}/responses", json={**nulls, "model": model, "input": conversation, "max_output_tokens": 4}, timeout=60)
assert reply.status_code == 200, reply.text

# Refusals name what is wrong (door-016, 017, 021).
for bad, param in (
    ({}, "input"), ({"input": 5}, "input"), ({"messages": []}, "messages"), ({"input": "x", "stream_options": {"include_obfuscation": False}}, "stream_options"),
    ({"input": "x", "previous_response_id": "resp_nope"}, "previous_response_id"),
    ({"input": "x", "previous_response_id": final.id, "conversation": "c"}, "conversation"),
    ({"input": "x", "background": True, "store": False}, "store"),
    ({"input": [{"type": "function_call_output", "call_id": "call_1", "output": "x"}]}, "input"),
    ({"input": [{"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}]}, "input"),
    ({"input": "x", "tools": [{"type": "web_search"}], "tool_choice": "required"}, "tool_choice"),
    ({"input": "x", "tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}}, "tool_choice"),
):
    reply = httpx.post(f"{base}/responses", json={"model": model, **bad}, timeout=60)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param), (bad, reply.text)
unknown = httpx.post(f"{base}/responses", json={"model": "nobody", "input": "x"})
assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")

# A conversation is the hub's (door-018, 020).
first = client.responses.create(model=model, input="My name is Bob.", max_output_tokens=30, temperature=0)
second = client.responses.create(model=model, input="What is my name?", previous_response_id=first.id, instructions="Be short.", max_output_tokens=30, temperature=0)
assert second.previous_response_id == first.id and second.usage.input_tokens > first.usage.total_tokens if first.status == "completed" else True
items = client.responses.input_items.list(second.id, order="asc").data
assert [item.role for item in items] == ["user", "assistant", "user"], items
assert [item.role for item in client.responses.input_items.list(second.id, limit=1)][:1] == ["user"]
if first.status == "completed":
    client.responses.create(model=model, input=[{"type": "item_reference", "id": first.output[0].id}, {"role": "user", "content": "Go on."}], max_output_tokens=3)

# Not stored: nobody finds it, nobody goes on from it (door-017, 142).
hidden = client.responses.create(**ask, store=False)
for attempt in (lambda: client.responses.retrieve(hidden.id), lambda: client.responses.create(model=model, input="x", previous_response_id=hidden.id)):
    try:
        attempt()
        raise AssertionError("found")
    except openai.APIStatusError as error:
        assert error.status_code in (400, 404)

# Tools: one call, its arguments in pieces, and the way back (door-005, 007).
tool = {
    "type": "function", "name": "get_weather", "description": "Get the weather", "strict": True,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False},
}
with client.responses.stream(model=model, input="Weather in Paris?", tools=[tool, {"type": "web_search"}], tool_choice="required", max_output_tokens=60, temperature=0) as stream:
    pieces = [event.delta for event in stream if event.type == "response.function_call_arguments.delta"]
    called = stream.get_final_response()
call = called.output[0]
assert called.output[0].type == "function_call" and called.status == "completed", called
assert "".join(pieces) == call.arguments and json.loads(call.arguments)["city"]
assert called.model_extra["sluice"]["ignored_tools"] == ["web_search"], called.model_extra
answer = client.responses.create(
    model=model, tools=[tool], max_output_tokens=30, temperature=0, previous_response_id=called.id,
    input=[{"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"}])
assert answer.output_text

# A schema (door-032).
shaped = client.responses.create(
    model=model, input="A person.", max_output_tokens=100, temperature=0,
    text={"format": {"type": "json_schema", "name": "p", "strict": True, "schema": {
        "type": "object", "properties": {"age": {"type": "integer", "minimum": 1, "maximum": 99}}, "required": ["age"], "additionalProperties": False}}})
assert 1 <= json.loads(shaped.output_text)["age"] <= 99

# In the background, polled, streamed later, cancelled, deleted (door-130 to 136).
begun = client.responses.create(model=model, input="Tell me a story.", background=True, max_output_tokens=60)
assert begun.status in ("queued", "in_progress") and begun.output == [] and begun.usage is None
while begun.status in ("queued", "in_progress"):
    time.sleep(0.05)
    begun = client.responses.retrieve(begun.id)
assert begun.usage.output_tokens <= 60
rest = list(client.responses.retrieve(begun.id, stream=True, starting_after=7))
assert rest[0].sequence_number == 8 and rest[-1].response.output == begun.output
for wrong in ("-1", "x"):
    assert httpx.get(f"{base}/responses/{begun.id}?stream=true&starting_after={wrong}").status_code == 400
running = client.responses.create(model=model, input="Tell me a long story.", background=True, max_output_tokens=4000)
cancelled = client.responses.cancel(running.id)
assert cancelled.status == "cancelled" and client.responses.cancel(running.id).status == "cancelled"
client.responses.delete(running.id)
assert httpx.get(f"{base}/responses/{running.id}").status_code == 404

# Cut at several places: the rest follows on, byte for byte as if nobody had cut it (door-130, 139).
def read(url, events, **request):
    body = b""
    with httpx.stream(**request, url=url, timeout=60) as reply:
        assert reply.status_code == 200, reply.read()
        for piece in reply.iter_raw():
            body += piece
            if body.count(b"\n\n") >= events:
                break
    return body


def numbers(body):
    return [json.loads(line[6:])["sequence_number"] for line in body.decode().split("\n") if line.startswith("data: {")]


def frames(body):
    return [frame for frame in body.split(b"\n\n") if b"data: {" in frame]


for cut in (1, 3, 5, 30):
    request = {"model": model, "input": f"Count to {cut}.", "max_output_tokens": 300, "temperature": 0, "seed": 1, "stream": True}
    begin = read(f"{base}/responses", cut, method="POST", json=request)
    head = frames(begin)[:cut] if begin.count(b"\n\n") >= cut else frames(begin)
    answer_id = json.loads(head[0].split(b"data: ")[1])["response"]["id"]
    last = numbers(b"\n\n".join(head))[-1]
    time.sleep(0.3)
    while client.get(f"/responses/{answer_id}", cast_to=httpx.Response).json()["sluice"]["state"] == "running":
        time.sleep(0.05)
    rest = httpx.get(f"{base}/responses/{answer_id}?stream=true&starting_after={last}", timeout=60).content
    got = head + [frame.split(b"\n", 1)[1] if frame.startswith(b"id: ") else frame for frame in frames(rest)]
    assert numbers(b"\n\n".join(got)) == list(range(len(got))), numbers(b"\n\n".join(got))
    text = "".join(json.loads(f.split(b"data: ")[1]).get("delta", "") for f in got)
    done = json.loads(got[-1].split(b"data: ")[1])
    assert done["response"]["output"][0]["content"][0]["text"] == text
    uncut = httpx.post(f"{base}/responses", json={**request, "stream": False}, timeout=60).json()
    assert uncut["output"][0]["content"][0]["text"] == text, (uncut, text)

# An upgrade to WebSocket is refused with the one status after which clients go on over HTTP (door-042).
assert httpx.get(f"{base}/responses", headers={"Upgrade": "websocket", "Connection": "Upgrade"}).status_code == 426
print("ok")
