"""A stream that fails raises after what came before; a refusal raises as its status says."""

import os
import sys

import openai

model = os.environ["SLUICE_MODEL"]
client = openai.OpenAI(max_retries=0)


def ask(**changes):
    request = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "stream": True} | changes
    return client.chat.completions.create(**request)


def say(content):
    return [{"role": "user", "content": content}]


# Three words, then the model throws. Twice: as chunks, and through the SDK's accumulator.
text = ""
try:
    for chunk in ask(messages=say("fails")):
        assert chunk.choices[0].finish_reason is None
        text += chunk.choices[0].delta.content or ""
    sys.exit("the failed stream did not raise")
except openai.APIError as error:
    assert type(error) is openai.APIError, repr(error)
    assert error.body["type"] == "server_error" and error.message, error.body
assert text == " one two three", text

try:
    with client.chat.completions.stream(model=model, messages=say("fails")) as events:
        events.until_done()
    sys.exit("the failed accumulator did not raise")
except openai.APIError as error:
    assert type(error) is openai.APIError, repr(error)

for expected, status, code, changes in (
    (openai.NotFoundError, 404, "model_not_found", {"model": "nobody"}),
    (openai.BadRequestError, 400, "decimal_above_max_value", {"temperature": 3}),
    (openai.BadRequestError, 400, "empty_array", {"messages": []}),
    (openai.InternalServerError, 500, None, {"messages": say("fails at once")}),
):
    for stream in (True, False):
        try:
            ask(**changes, stream=stream)
            sys.exit(f"{changes} did not raise")
        except openai.APIStatusError as error:
            assert type(error) is expected, repr(error)
            assert (error.status_code, error.code) == (status, code), repr(error)
            assert error.request_id.startswith("req_")

locked = openai.OpenAI(max_retries=0, base_url=sys.argv[1], api_key="sk-wrong")
try:
    locked.models.list()
    sys.exit("a wrong key did not raise")
except openai.AuthenticationError as error:
    assert error.code == "invalid_api_key"
print("ok")
