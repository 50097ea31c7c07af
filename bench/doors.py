"""CPU of the hub's process for a chunk, by door: chat passes on, the others are translated. One upstream, one run, doors in turns.

    dotnet build -c Release
    python3 bench/doors.py [rounds, default 5]
"""

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile

CHUNKS, REQUESTS, CONCURRENCY = 200, 400, 16
DOORS = {
    "chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}),
    "responses": ("/v1/responses", {"input": "Hi", "store": False}),
    "messages": ("/v1/messages", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1000}),
}


def chunk(delta, finish=None):
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    body = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


async def serve(reader, writer):
    """Answers every request of a connection with CHUNKS chunks, eight to a write."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
            await reader.readexactly(length)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            frames = [chunk({"role": "assistant", "content": ""})] + [chunk({"content": f" word{i}"}) for i in range(CHUNKS)]
            frames += [chunk({}, "stop"), b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[],'
                       b'"usage":{"prompt_tokens":1,"completion_tokens":200,"total_tokens":201}}\n\n', b"data: [DONE]\n\n"]
            for at in range(0, len(frames), 8):
                piece = b"".join(frames[at:at + 8])
                writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                await writer.drain()
            writer.write(b"0\r\n\r\n")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        writer.close()


async def ask(port, path, body, count):
    """Asks one after the other on one connection, and reads every reply to its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    text = json.dumps(body).encode()
    request = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n".encode() + text
    for _ in range(count):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        while True:
            size = int(await reader.readline(), 16)
            await reader.readexactly(size + 2)
            if size == 0:
                break
    writer.close()


def cpu(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(port, pid, door):
    path, body = DOORS[door]
    body = {"model": "m", "stream": True, **body}
    before = cpu(pid)
    await asyncio.gather(*(ask(port, path, body, REQUESTS // CONCURRENCY) for _ in range(CONCURRENCY)))
    return (cpu(pid) - before) / (REQUESTS * CHUNKS) * 1e6


async def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    upstream = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = upstream.sockets[0].getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "sluice.yaml")
        with open(path, "w") as file:
            file.write(f'store: off\nmodels:\n  - id: m\n    upstreams: [{{ url: "http://127.0.0.1:{port}/v1" }}]\n')
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            own = free.getsockname()[1]
        program = os.path.join(os.path.dirname(__file__), "..", "artifacts", "bin", "Sluice.Cli", "release", "sluice.dll")
        hub = subprocess.Popen(["dotnet", program, "serve", "--config", path, "--urls", f"http://127.0.0.1:{own}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for _ in range(100):
                try:
                    (await asyncio.open_connection("127.0.0.1", own))[1].close()
                    break
                except ConnectionError:
                    await asyncio.sleep(0.1)
            for door in DOORS:
                await measure(own, hub.pid, door)
            taken = {door: [] for door in DOORS}
            for _ in range(rounds):
                for door in DOORS:
                    taken[door].append(await measure(own, hub.pid, door))
        finally:
            hub.terminate()
            hub.wait()
    for door, values in taken.items():
        ratios = [value / chat for value, chat in zip(values, taken["chat"])]
        print(f"{door}: {statistics.median(values):.2f} us a chunk, {statistics.median(ratios):.2f} of chat ({min(ratios):.2f}-{max(ratios):.2f})")


asyncio.run(main())
