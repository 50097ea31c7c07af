"""T-10: comments in the silence before the first token are no chunks."""

import os

import openai

request = {"model": os.environ["SLUICE_MODEL"], "messages": [{"role": "user", "content": "silent"}], "stream": True}
client = openai.OpenAI(max_retries=0)
assert "".join(chunk.choices[0].delta.content or "" for chunk in client.chat.completions.create(**request)) == "Hello world"
print("ok")
