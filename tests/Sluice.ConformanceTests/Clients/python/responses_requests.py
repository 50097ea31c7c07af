"""Holds bodies, one a line of the file, to the types that OpenAI's own SDK has for a streamed request. Members unknown to it fail."""

import json
import sys
from collections.abc import Iterator

from openai.types.responses.response_create_params import ResponseCreateParamsStreaming
from pydantic import TypeAdapter

adapter = TypeAdapter(ResponseCreateParamsStreaming)


def whole(value):
    """Arrays are validated when they are read."""
    if isinstance(value, dict):
        return {name: whole(member) for name, member in value.items()}
    return [whole(element) for element in value] if isinstance(value, (list, Iterator)) else value


with open(sys.argv[1], encoding="utf-8") as file:
    bodies = [json.loads(line) for line in file]
for body in bodies:
    read = whole(adapter.validate_python(body))
    assert read == body, (read, body)

# The check itself: an item of no known type, and a member of no known name.
for name, value in (("input", [{"type": "massage", "role": "user", "content": "x"}]), ("max_completion_tokens", 1)):
    wrong = {**bodies[0], name: value}
    try:
        assert whole(adapter.validate_python(wrong)) != wrong
    except ValueError:
        pass
print(len(bodies))
