"""The SDK makes a schema of classes and classes of the answer, from a model that is too small to keep to any form by itself."""

import enum
import os
from typing import List, Optional, Union

import openai
from pydantic import BaseModel, Field


class Mood(str, enum.Enum):
    calm = "calm"
    wild = "wild"


class Wind(BaseModel):
    knots: int = Field(ge=0, le=60)
    from_north: bool


class Rain(BaseModel):
    millimetres: float


class Report(BaseModel):
    sea: str = Field(max_length=40)
    mood: Mood
    weather: Union[Wind, Rain]
    harbours: List[str] = Field(min_length=1, max_length=2)
    note: Optional[str]


client = openai.OpenAI(max_retries=0)
request = {
    "model": os.environ["SLUICE_MODEL"],
    "messages": [{"role": "user", "content": "Report the state of the North Sea as JSON. Be brief."}],
    "response_format": Report,
    "max_tokens": 600,
    "frequency_penalty": 1,
}

for temperature in (0, 1):
    completion = client.chat.completions.parse(**request, temperature=temperature, seed=3)
    report = completion.choices[0].message.parsed
    assert isinstance(report, Report), completion
    assert 1 <= len(report.harbours) <= 2

with client.chat.completions.stream(**request, temperature=0) as stream:
    deltas = [event for event in stream if event.type == "content.delta"]
    final = stream.get_final_completion().choices[0].message.parsed
assert isinstance(final, Report)
assert len(deltas) > 3
print("parsed")
