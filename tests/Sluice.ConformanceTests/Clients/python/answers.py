"""Streams, collects and counts: every way in which the SDK reads an answer must tell the same one."""

import os
import sys

import openai

model = os.environ["SLUICE_MODEL"]
client = openai.OpenAI(max_retries=0)
request = {
    "model": model,
    "messages": [{"role": "user", "content": sys.argv[1]}],
    # Answers must end by themselves: the SDK's accumulator raises on those that were cut.
    "stop": [".", "\n"],
    "max_tokens": 200,
    "seed": 4,
}


def stream(n=1):
    chunks = list(client.chat.completions.create(**request, n=n, stream=True, stream_options={"include_usage": True}))
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    contents, roles, finishes = [""] * n, [[] for _ in range(n)], [[] for _ in range(n)]
    for chunk in chunks[:-1]:
        (choice,) = chunk.choices
        contents[choice.index] += choice.delta.content or ""
        roles[choice.index] += [choice.delta.role] if choice.delta.role else []
        finishes[choice.index] += [choice.finish_reason] if choice.finish_reason else []
    assert roles == [["assistant"]] * n, roles
    assert all(len(finish) == 1 for finish in finishes), finishes
    return contents, [finish[0] for finish in finishes], chunks[-1].usage


def collect(n=1):
    answer = client.chat.completions.create(**request, n=n)
    assert answer._request_id.startswith("req_")
    assert [choice.message.role for choice in answer.choices] == ["assistant"] * n
    assert all(choice.message.tool_calls is None for choice in answer.choices)
    return [choice.message.content for choice in answer.choices], [choice.finish_reason for choice in answer.choices], answer.usage


def accumulate(n=1):
    """U-03, S-14: the SDK's own accumulator."""
    deltas = 0
    with client.chat.completions.stream(**request, n=n, stream_options={"include_usage": True}) as events:
        for event in events:
            deltas += event.type == "content.delta"
        answer = events.get_final_completion()
    assert deltas > 0
    assert [choice.message.role for choice in answer.choices] == ["assistant"] * n
    return [choice.message.content for choice in answer.choices], [choice.finish_reason for choice in answer.choices], answer.usage


for n in (1, 2, 3):
    contents, finishes, usage = stream(n)
    for other in (collect(n), accumulate(n)):
        assert other[0] == contents, (other[0], contents)
        assert other[1] == finishes, (other[1], finishes)
        assert (other[2].prompt_tokens, other[2].completion_tokens) == (usage.prompt_tokens, usage.completion_tokens)
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.completion_tokens >= n

# The loop of the documentation, which dies of a chunk without choices.
text = ""
for chunk in client.chat.completions.create(**request, stream=True):
    text += chunk.choices[0].delta.content or ""
assert text == collect()[0][0]

assert model in [known.id for known in client.models.list()]
assert client.models.retrieve(model).id == model
print("ok")
