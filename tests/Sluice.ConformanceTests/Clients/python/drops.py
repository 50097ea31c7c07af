"""Many requests at a time whose first connections break before an answer: the SDK, as it is, asks again."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import openai

_, url, count = sys.argv
client = openai.OpenAI(base_url=url, max_retries=5)


def converse(number):
    request = {"model": os.environ["SLUICE_MODEL"], "messages": [{"role": "user", "content": f"request {number}"}]}
    if number % 2 == 0:
        text = client.chat.completions.create(**request).choices[0].message.content
    else:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in client.chat.completions.create(**request, stream=True))
    assert text == "late", text


with ThreadPoolExecutor(int(count)) as threads:
    list(threads.map(converse, range(int(count))))
