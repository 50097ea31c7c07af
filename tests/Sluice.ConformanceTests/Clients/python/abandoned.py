"""A request that is left while the transport waits to send it again."""

import asyncio
import sys
import time
from pathlib import Path

import anyio
import openai

sys.path.insert(0, str(Path(__file__).parents[4] / "clients" / "python"))
import sluice_client  # noqa: E402

_, url, way = sys.argv
SDK = {"base_url": url, "api_key": "sk-client", "max_retries": 0}
MESSAGES = [{"role": "user", "content": "Hi"}]


def interrupt(seconds):
    raise KeyboardInterrupt


async def leave():
    client = openai.AsyncOpenAI(**SDK, http_client=sluice_client.async_http_client())
    await client.chat.completions.create(model="whole", messages=MESSAGES)
    task = asyncio.create_task(client.chat.completions.create(model="first", messages=MESSAGES))
    sleep = anyio.sleep

    async def cancelled_sleep(seconds):
        task.cancel()
        await sleep(seconds)

    anyio.sleep = cancelled_sleep
    try:
        await task
    except asyncio.CancelledError:
        print("left")


if way == "async":
    asyncio.run(leave())
else:
    client = openai.OpenAI(**SDK, http_client=sluice_client.http_client())
    client.chat.completions.create(model="whole", messages=MESSAGES)
    time.sleep = interrupt
    try:
        client.chat.completions.create(model="first", messages=MESSAGES)
    except KeyboardInterrupt:
        print("left")
