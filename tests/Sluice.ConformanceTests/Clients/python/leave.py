"""Leaves a stream after two pieces, and stays alive until it is told to end: only the leaving can have freed the slot."""

import os
import sys

import openai

seen = 0
with openai.OpenAI().chat.completions.create(
    model=os.environ["SLUICE_MODEL"], messages=[{"role": "user", "content": sys.argv[1]}], stream=True
) as stream:
    for chunk in stream:
        seen += bool(chunk.choices[0].delta.content)
        if seen == 2:
            break

print("left", flush=True)
sys.stdin.readline()
