"""A budget that ends is a normal end to the SDK, and every refusal raises at once or after the wait that it states."""

import os
import sys
import time

import openai

model = os.environ["SLUICE_MODEL"]


def client(key, retries=2):
    return openai.OpenAI(api_key=key, max_retries=retries)


def ask(key, retries=2, **changes):
    request = {"model": model, "messages": [{"role": "user", "content": "forever"}]} | changes
    return client(key, retries).chat.completions.create(**request)


# Cut in order: the text stays, the reason is one that the SDK knows, usage comes.
chunks = list(ask("cut", stream=True, stream_options={"include_usage": True}))
reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
assert reasons == ["length"], reasons
assert chunks[-1].usage.total_tokens == 60, chunks[-1].usage
assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices), chunks

# Spent for a day: no SDK sleeps that long.
started = time.monotonic()
try:
    ask("cut")
    sys.exit("a spent budget did not raise")
except openai.RateLimitError as error:
    assert error.code == "insufficient_quota", error.body
    assert "retry-after" not in error.response.headers, error.response.headers
    assert error.body["sluice"]["resets_at"] > 0, error.body
assert time.monotonic() - started < 10

# Whole replies, and the doors of the SDK's other API.
whole = ask("whole")
assert whole.choices[0].finish_reason == "length" and whole.usage.total_tokens == 60, whole
response = client("responses").responses.create(model=model, input="forever")
assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens"), response

# A rate: the SDK waits as long as it is told, and gets its answer.
ask("rate", max_tokens=2)
try:
    ask("rate", retries=0, max_tokens=2)
    sys.exit("a used rate did not raise")
except openai.RateLimitError as error:
    headers = error.response.headers
    assert error.code == "rate_limit_exceeded" and 1 <= int(headers["retry-after"]) <= 60, headers
    assert headers["x-ratelimit-limit-requests"] == "30" or headers["x-ratelimit-remaining-requests"] == "0", headers

# What can't be helped by waiting raises at once.
for key, kind, code in (("expired", openai.AuthenticationError, "key_expired"), ("nobody", openai.AuthenticationError, "invalid_api_key"),
                        ("other", openai.NotFoundError, "model_not_found"), ("tiny", openai.BadRequestError, "budget_too_small")):
    try:
        ask(key, max_tokens=2)
        sys.exit(f"{key} did not raise")
    except kind as error:
        assert error.code == code, (key, error.body)
print("ok")
