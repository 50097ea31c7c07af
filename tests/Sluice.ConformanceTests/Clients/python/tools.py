"""Tool calls as the SDK reads them: its accumulator with a tool made of a model class, plain chunks, whole replies, and the way back."""

import json
import os
import sys

import openai
from pydantic import BaseModel, Field


class get_weather(BaseModel):
    """Get current weather for a location"""

    location: str = Field(description="City name")


model = os.environ["SLUICE_MODEL"]
client = openai.OpenAI(max_retries=0)
question = {"role": "user", "content": sys.argv[1]}
tool = openai.pydantic_function_tool(get_weather)
request = {"model": model, "messages": [question], "tools": [tool], "temperature": 0, "max_tokens": 100}

# F-08: the accumulator raises on ids and names that are repeated, and on indexes with gaps.
done = []
with client.chat.completions.stream(**request, tool_choice="required", parallel_tool_calls=False) as events:
    for event in events:
        if event.type == "tool_calls.function.arguments.done":
            done.append(event)
    answer = events.get_final_completion()
(choice,) = answer.choices
(call,) = choice.message.tool_calls
assert choice.finish_reason == "tool_calls" and choice.message.content is None, choice
assert len(done) == 1 and done[0].name == call.function.name == "get_weather"
assert isinstance(call.function.parsed_arguments, get_weather), call
assert call.function.parsed_arguments.location

# E-31: who reads the first entry of each chunk only, and joins what has the same index, gets the same.
name, arguments, ids = "", "", []
for chunk in client.chat.completions.create(**request, stream=True, tool_choice={"type": "function", "function": {"name": "get_weather"}}):
    for entry in (chunk.choices[0].delta.tool_calls or [])[:1]:
        ids += [entry.id] if entry.id else []
        name += entry.function.name or ""
        arguments += entry.function.arguments or ""
assert len(ids) == 1 and name == "get_weather" and json.loads(arguments), (ids, name, arguments)

# F-12, F-17: the SDK's own message goes back as it is, with the result.
whole = client.chat.completions.create(**request, tool_choice="required", parallel_tool_calls=False)
message = whole.choices[0].message
assert message.content is None and len(message.tool_calls) == 1
result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "18 degrees and sunny"}
followed = client.chat.completions.create(**{**request, "messages": [question, message, result]})
assert followed.choices[0].message.content and followed.choices[0].finish_reason in ("stop", "length"), followed

# F-10: none.
silent = client.chat.completions.create(**request, tool_choice="none")
assert silent.choices[0].message.tool_calls is None and silent.choices[0].message.content
print("ok")
