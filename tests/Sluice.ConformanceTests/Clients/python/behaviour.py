"""What the transports go on with: one conversation for each way in which the server behaves, told as a line of JSON each."""

import asyncio
import json
import sys
from pathlib import Path

import httpx
import httpx2
import openai

sys.path.insert(0, str(Path(__file__).parents[4] / "clients" / "python"))
import sluice_client  # noqa: E402

_, url, way = sys.argv
CASES = """first cut middle early clean silent unanswered timeout whole draining foreign foreign-clean other created plain error error-clean stopped
    stopped-spaced stopped-lines error-within stopped-stubborn stopped-404 late stubborn 404 409 410 422 429-final clean-404 key leave-key leave""".split()
RESUME = {"attempts": 3, "pause": 0.005, "silence": 1}
SDK = {"base_url": url, "api_key": "sk-client", "max_retries": 0}


def request(case):
    headers = {"Idempotency-Key": f"mine-{case}"} if "key" in case else {}
    return {"model": case, "messages": [{"role": "user", "content": "Hi"}], "extra_headers": headers, "stream": case != "whole"}


def patient(client, case):
    return client.with_options(timeout=1, max_retries=1) if case == "timeout" else client


def add(text, chunk):
    return text + "".join(choice.delta.content or "" for choice in chunk.choices)


def tell(case, text, failed):
    print(json.dumps({"case": case, "text": text, "failed": failed}))


def is_told(case, error):
    """The hub's own word on why it ended is not to be lost."""
    return not case.startswith("stopped") or getattr(error, "code", None) == "server_shutdown"


def converse(client, case):
    text = ""
    try:
        answer = patient(client, case).chat.completions.create(**request(case))
        if case == "whole":
            return tell(case, answer.choices[0].message.content, False)
        for chunk in answer:
            text = add(text, chunk)
            if case.startswith("leave") and text:
                answer.close()
                break
        tell(case, text, False)
    except (openai.APIError, httpx.TransportError, httpx2.TransportError) as error:
        tell(case, text, is_told(case, error))


async def converse_async(client, case):
    text = ""
    try:
        answer = await patient(client, case).chat.completions.create(**request(case))
        if case == "whole":
            return tell(case, answer.choices[0].message.content, False)
        async for chunk in answer:
            text = add(text, chunk)
            if case.startswith("leave") and text:
                await answer.close()
                break
        tell(case, text, False)
    except (openai.APIError, httpx.TransportError, httpx2.TransportError) as error:
        tell(case, text, is_told(case, error))


async def all_async():
    client = openai.AsyncOpenAI(**SDK, http_client=sluice_client.async_http_client(resume=RESUME))
    for case in CASES:
        await converse_async(client, case)


if way == "async":
    asyncio.run(all_async())
else:
    client = openai.OpenAI(**SDK, http_client=sluice_client.http_client(httpx if way == "httpx" else None, resume=RESUME))
    for case in CASES:
        converse(client, case)
