#!/usr/bin/env python3
"""Records answers of the shipped model as event streams, by this repository's server and by llama-server, for the tests of resumed answers.

usage: record_streams.py LLAMA_CPP_FOLDER SLUICE_EXECUTABLE MODEL.gguf QWEN3_TEMPLATE.jinja tests/Sluice.Tests/Data/Streams

Each NAME.sse is a body as it came, byte by byte, without the framing of HTTP; index.json has the request of each, and whether the body was broken
off. Clients and servers end early where a name says so: "killed" is a server that dies, "stopped" one that is asked to stop.
"""
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from llama_peer import Server, repaired_copy

WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "Weather of a city", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}}}
CLOCK = {"type": "function", "function": {"name": "get_time", "description": "Time in a city", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}}}
PERSON = {"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": {
    "type": "object", "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer"}},
    "required": ["name", "age"], "additionalProperties": False}}}
USAGE = {"stream_options": {"include_usage": True}}
# The end of a turn in this model's vocabulary.
END = "2"


def asks(text, **more):
    return {"stream": True, "seed": 7, "temperature": 0, "max_tokens": 32, "messages": [{"role": "user", "content": text}], **more}


BOTH = {
    "text": asks("Name three colours."),
    "usage": asks("What is the capital of France?", **USAGE),
    "logprobs": asks("What is 2 + 2?", logprobs=True, top_logprobs=2, max_tokens=10),
    "choices": asks("Name an animal.", n=2, temperature=1, max_tokens=12, **USAGE),
    "length": asks("Tell me a story about the sea.", max_tokens=5),
    "stop": asks("Count from one to ten, in words.", stop=[","]),
    "emoji": asks("Repeat after me: \U0001F600\U0001F389 na\u00efve \u65e5\u672c\u8a9e \U0001F469\u200d\U0001F680", max_tokens=48),
    "empty": asks("Say nothing.", logit_bias={END: 100}, **USAGE),
    "long": asks("Explain how bread is made, step by step.", max_tokens=128),
    "tool": asks("What is the weather in Paris?", tools=[WEATHER], tool_choice="required", max_tokens=64, **USAGE),
    "schema": asks("Describe a person.", response_format=PERSON, max_tokens=48),
}
SLUICE = {
    "tools": asks("Weather and time in Paris and Rome?", tools=[WEATHER, CLOCK], tool_choice="required", max_tokens=96),
    "function": asks("What is the weather in Oslo?", functions=[WEATHER["function"]], function_call={"name": "get_weather"}, max_tokens=48),
}
LLAMA = {
    "sampled": asks("Write a line of a poem.", temperature=1, seed=3, **USAGE),
}
# With a template of a model that thinks and calls; a grammar makes the shipped one think, and of some seeds one calls more than once.
REASONING = asks("Is 7 a prime number?", max_tokens=48, **USAGE)
THOUGHT = 'root ::= "<think>\\n" [A-Za-z0-9 ]{20,60} ".\\n</think>\\n\\nYes, it is."'
CALLS = asks("Weather and time in Paris and Rome?", tools=[WEATHER, CLOCK], tool_choice="required", parallel_tool_calls=True, temperature=1, max_tokens=160)


def record(port, request, model, during=None):
    """The body, and whether it came to its end. `during` is called when the first bytes have come."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", "/v1/chat/completions", json.dumps({"model": model, **request}), {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != 200:
        raise RuntimeError(f"{response.status}: {response.read().decode()}")
    body = b""
    try:
        while part := response.read1(65536):
            body += part
            if during and b'"content":"' in body:
                during(response.headers)
                during = None
        return body, True
    except http.client.IncompleteRead as broken:
        return body + broken.partial, False
    except ConnectionError:
        return body, False


class Sluice:
    """The repository's server with the shipped model on a free loopback port; a context manager."""

    def __init__(self, executable, model):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._folder = tempfile.TemporaryDirectory()
        config = os.path.join(self._folder.name, "sluice.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"models:\n  - id: m\n    gguf: {os.path.abspath(model)}\n")
        self.process = subprocess.Popen(
            [executable, "serve", "--config", config, "--urls", f"http://127.0.0.1:{self.port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(300):
            try:
                if record(self.port, asks("Hi", max_tokens=1), "m")[1]:
                    return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("the server is not ready after 30 s")

    def cancel(self, headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("POST", f"/v1/chat/completions/{headers['Sluice-Stream-Id']}/cancel")
        connection.getresponse().read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self._folder.cleanup()


def main(llama, executable, model, template, target):
    os.makedirs(target, exist_ok=True)
    index = {}

    def keep(name, request, recorded):
        body, is_whole = recorded
        with open(os.path.join(target, f"{name}.sse"), "wb") as file:
            file.write(body)
        index[name] = {"request": request, "whole": is_whole}
        print(f"{name}: {len(body)} bytes{'' if is_whole else ', broken off'}", file=sys.stderr)

    story = asks("Tell me a story about the sea.", max_tokens=400, **USAGE)
    with Sluice(executable, model) as server:
        for name, request in (BOTH | SLUICE).items():
            keep(f"sluice-{name}", request, record(server.port, request, "m"))
        keep("sluice-cancelled", story, record(server.port, story, "m", lambda headers: threading.Thread(target=server.cancel, args=(headers,)).start()))
        keep("sluice-stopped", story, record(server.port, story, "m", lambda _: server.process.send_signal(signal.SIGTERM)))
    with repaired_copy(llama) as folder:
        with Server(folder, model, "--jinja", "-np", "2", "-c", "4096") as server:
            for name, request in (BOTH | LLAMA).items():
                keep(f"llama-{name}", request, record(server.port, request, "m"))
            keep("llama-killed", story, record(server.port, story, "m", lambda _: server.kill()))
        with Server(folder, model, "--jinja", "--chat-template-file", template, "--reasoning-format", "deepseek") as server:
            keep("llama-reasoning", REASONING, record(server.port, {**REASONING, "grammar": THOUGHT}, "m"))
            for seed in range(100):
                request = {**CALLS, "seed": seed}
                recorded = record(server.port, request, "m")
                if b'"tool_calls":[{"index":1,' in recorded[0] and b'"finish_reason":"tool_calls"' in recorded[0]:
                    keep("llama-tools", request, recorded)
                    break
    with open(os.path.join(target, "index.json"), "w", encoding="utf-8") as file:
        json.dump(index, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
