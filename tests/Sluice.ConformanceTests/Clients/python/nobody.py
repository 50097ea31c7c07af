"""R-08: nobody is there."""

import sys

import openai

try:
    openai.OpenAI(max_retries=1).chat.completions.create(
        model="any", messages=[{"role": "user", "content": "Hello"}], stream=True
    )
    sys.exit("it did not raise")
except openai.APIConnectionError:
    print("ok")
