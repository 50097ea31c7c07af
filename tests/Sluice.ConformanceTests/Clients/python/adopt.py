"""An automatic retry takes over the answer that its first attempt has asked for."""

import os

import openai

client = openai.OpenAI(timeout=1, max_retries=8)
for number in range(3):
    messages = [{"role": "user", "content": f"adopt {number}"}]
    completion = client.chat.completions.create(model=os.environ["SLUICE_MODEL"], messages=messages)
    assert completion.choices[0].message.content == "late", completion
print("ok")
