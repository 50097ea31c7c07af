"""Conversations over connections that break: each answer must be exactly the one that was asked for. Reads how many from stdin, batch by batch."""

import asyncio
import json
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import httpx2
import openai

sys.path.insert(0, str(Path(__file__).parents[4] / "clients" / "python"))
import sluice_client  # noqa: E402

_, echo, tools, seed, way = sys.argv
PIECES = ["one", " two", "Hello", " world", "ü", "ß", "😀", "👩\u200d🚀", "日本語", '"', "\\", "{}", "\n", "e\u0301", "-"]
SERIES = [3, 7, 15, 40]
RESUME = {"pause": 0.005, "silence": 1}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


class Conversation:
    """What is asked of which hub, and what must come."""

    def __init__(self, number):
        draw = random.Random(f"{seed} {number}")
        self.text = "x" + "".join(draw.choice(PIECES) for _ in range(draw.choice(SERIES))) + "x"
        self.arguments = json.dumps({"a": "".join(draw.choice(PIECES) for _ in range(draw.choice(SERIES)))})
        self.has_tools, self.is_stream, self.has_usage = draw.random() < 0.4, draw.random() < 0.85, draw.random() < 0.5
        self.count = 1 if self.has_tools else draw.choice([1, 1, 2])
        self.hub = tools if self.has_tools else echo
        content = json.dumps([self.text, self.arguments]) if self.has_tools else self.text
        self.body = {"model": "m" if self.has_tools else "scripted", "messages": [{"role": "user", "content": content}], "n": self.count}
        if self.has_tools:
            self.body["tools"] = [FUNCTION]
        if self.is_stream:
            self.body["stream"] = True
            if self.has_usage:
                self.body["stream_options"] = {"include_usage": True}

    def check(self, chunks):
        assert len({chunk["id"] for chunk in chunks}) == 1
        for index in range(self.count):
            choices = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]
            deltas = [choice["delta"] for choice in choices]
            assert "".join(delta.get("content") or "" for delta in deltas) == self.text, (self.text, deltas)
            assert sum(1 for delta in deltas if delta.get("role")) == 1, deltas
            assert [choice["finish_reason"] for choice in choices if choice.get("finish_reason")] == [self.finish], choices
            calls = [call for delta in deltas for call in delta.get("tool_calls") or []]
            assert [call["id"] for call in calls if call.get("id")] == (["call_1"] if self.has_tools else []), calls
            if self.has_tools:
                assert "".join(call["function"].get("arguments") or "" for call in calls) == self.arguments, calls
        usages = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
        assert len(usages) == (1 if self.has_usage else 0), usages

    def check_whole(self, answer):
        assert len(answer["choices"]) == self.count
        for choice in answer["choices"]:
            assert (choice["message"]["content"], choice["finish_reason"]) == (self.text, self.finish), choice
            if self.has_tools:
                (call,) = choice["message"]["tool_calls"]
                assert call["function"]["arguments"] == self.arguments, call

    @property
    def finish(self):
        return "tool_calls" if self.has_tools else "stop"


def plain(chunk):
    return chunk.model_dump(exclude_unset=True)


def sdk(library):
    clients = {hub: openai.OpenAI(base_url=hub, timeout=5, max_retries=5, http_client=sluice_client.http_client(library, resume=RESUME)) for hub in (echo, tools)}

    def converse(number):
        asked = Conversation(number)
        answer = clients[asked.hub].chat.completions.create(**asked.body)
        asked.check([plain(chunk) for chunk in answer]) if asked.is_stream else asked.check_whole(plain(answer))

    def batch(numbers):
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(converse, numbers))

    return batch


def sdk_async(library):
    loop = asyncio.new_event_loop()
    clients = {
        hub: openai.AsyncOpenAI(base_url=hub, timeout=5, max_retries=5, http_client=sluice_client.async_http_client(library, resume=RESUME)) for hub in (echo, tools)
    }

    async def converse(number, places):
        asked = Conversation(number)
        async with places:
            answer = await clients[asked.hub].chat.completions.create(**asked.body)
            asked.check([plain(chunk) async for chunk in answer]) if asked.is_stream else asked.check_whole(plain(answer))

    async def gather(numbers):
        places = asyncio.Semaphore(8)
        await asyncio.gather(*(converse(number, places) for number in numbers))

    return lambda numbers: loop.run_until_complete(gather(numbers))


def raw(library):
    """The library itself, with the few retries that an application without an SDK would make."""
    client = sluice_client.http_client(library, resume=RESUME, timeout=5)

    def converse(number):
        asked = Conversation(number)
        for attempt in range(6):
            try:
                with client.stream("POST", f"{asked.hub}/chat/completions", json=asked.body) as response:
                    began = True
                    assert response.status_code == 200, response.read()
                    if not asked.is_stream:
                        return asked.check_whole(json.loads(response.read()))
                    data = [line[6:] for line in response.iter_lines() if line.startswith("data: ")]
                assert data[-1] == "[DONE]"
                return asked.check([json.loads(chunk) for chunk in data[:-1]])
            except library.TransportError:
                if attempt == 5 or "began" in locals():
                    raise

    def batch(numbers):
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(converse, numbers))

    return batch


batches = {"openai": [sdk(httpx2), sdk_async(httpx2)], "httpx": [raw(httpx), sdk_async(httpx), raw(httpx2)]}[way]
done = 0
for line in sys.stdin:
    for batch in batches:
        share = range(done, done + int(line) // len(batches))
        batch(share)
        done += len(share)
    print("ok", flush=True)
