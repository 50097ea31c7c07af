"""The older completions, as the SDK reads them: prompts of every kind, streams, log probabilities, scoring."""

import os

import openai

model = os.environ["SLUICE_MODEL"]
client = openai.OpenAI(max_retries=0)
create = client.completions.create

# Door-110: several prompts, several choices.
answer = create(model=model, prompt=["The sea is", "One two"], n=2, max_tokens=4, temperature=0)
assert answer.object == "text_completion" and answer.id.startswith("cmpl-"), answer
assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
assert answer.choices[0].text == answer.choices[1].text and answer.choices[2].text == answer.choices[3].text
assert all(choice.finish_reason == "length" for choice in answer.choices), answer
assert answer.usage.completion_tokens == 16
alone = create(model=model, prompt="The sea is", max_tokens=4, temperature=0)
assert alone.choices[0].text == answer.choices[0].text

# Door-111: a stream.
chunks = list(create(model=model, prompt="The sea is", max_tokens=4, temperature=0, stream=True, stream_options={"include_usage": True}))
assert {chunk.object for chunk in chunks} == {"text_completion"}
assert "".join(chunk.choices[0].text for chunk in chunks[:-1]) == alone.choices[0].text
assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 2) + ["length"]
assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens == alone.usage.total_tokens

# Door-112: the same log probabilities whether tokens are generated or scored; offsets are places in prompt and answer.
prompt = "The sea is"
generated = create(model=model, prompt=prompt, max_tokens=6, temperature=1, seed=5, logprobs=2).choices[0]
text = prompt + generated.text
assert generated.logprobs.text_offset[0] == len(prompt)
for token, offset in zip(generated.logprobs.tokens, generated.logprobs.text_offset):
    assert token.startswith("bytes:") or text[offset:].startswith(token), (token, offset)
echoed = create(model=model, prompt=prompt, max_tokens=6, temperature=1, seed=5, logprobs=2, echo=True).choices[0]
assert echoed.text == text, (echoed.text, text)
assert echoed.logprobs.token_logprobs[0] is None and echoed.logprobs.top_logprobs[0] is None
count = len(generated.logprobs.tokens)
assert echoed.logprobs.tokens[-count:] == generated.logprobs.tokens
assert echoed.logprobs.token_logprobs[-count:] == generated.logprobs.token_logprobs
assert all(token in top for token, top in zip(echoed.logprobs.tokens[1:], echoed.logprobs.top_logprobs[1:]))
streamed = [chunk.choices[0].logprobs for chunk in create(model=model, prompt=prompt, max_tokens=6, temperature=1, seed=5, logprobs=2, echo=True, stream=True)]
assert sum((part.text_offset for part in streamed if part), []) == echoed.logprobs.text_offset
assert sum((part.token_logprobs for part in streamed if part), []) == echoed.logprobs.token_logprobs
scored = create(model=model, prompt=text, max_tokens=0, logprobs=0, echo=True)
assert scored.choices[0].text == text and scored.usage.completion_tokens == 0
if scored.choices[0].logprobs.tokens == echoed.logprobs.tokens:
    assert scored.choices[0].logprobs.token_logprobs == echoed.logprobs.token_logprobs

# Door-114: this model has no tokens for a gap.
try:
    create(model=model, prompt="def f(", suffix="return 1")
    raise AssertionError("A gap was filled.")
except openai.BadRequestError as error:
    assert (error.param, error.code) == ("suffix", "unsupported_parameter"), error

print("done")
