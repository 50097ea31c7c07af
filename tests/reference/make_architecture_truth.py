#!/usr/bin/env python3
"""Writes what llama.cpp makes of small random models of many architectures.

usage: make_architecture_truth.py LLAMA_CPP_FOLDER MODELS_FOLDER DATA_FOLDER [NAME...]

MODELS_FOLDER is filled by: dotnet run -c Release --project bench/Sluice.Benchmarks -- write-tiny MODELS_FOLDER
and only the files in its subfolder "architectures" are asked about; names pick some of them, and the others stay as they are.
DATA_FOLDER is tests/Sluice.Tests/Data; it receives

architecture-truth.json   per model and prompt the log probabilities of all tokens after it, by token id; of a model that writes no text, the
                          vector of the prompt. Keys and values are kept in half precision, as here, and attention is the plain form of it.
quantized-cache-truth.json   the same of QUANTIZED with keys and values in q8_0, for which llama.cpp's attention has another form
"""
import json
import os
import sys

from llama_peer import Server, repaired_copy

VOCABULARY_SIZE = 259
PROMPTS = [
    [65],
    [(i * 37 + 11) % 256 for i in range(7)],
    [(i * i * 7 + i * 3 + 5) % 256 for i in range(23)],
]
SCORES = {"bert-rank": 1, "qwen3-rank": 2}
# Their heads are whole blocks of q8_0, as llama.cpp wants it.
QUANTIZED = ["gemma3", "qwen35"]
QUANTIZED_OPTIONS = ["-t", "1", "-c", "256", "-np", "1", "-fa", "on", "-ctk", "q8_0", "-ctv", "q8_0"]
OPTIONS = ["-t", "1", "-c", "256", "-np", "1", "-fa", "off", "-ctk", "f16", "-ctv", "f16"]


def logprobs(server, prompt):
    # The bias makes the server sample a whole character, or it would say nothing; the probabilities are those before sampling.
    answer = server.post("/completion", {
        "prompt": prompt, "n_predict": 1, "temperature": 0, "cache_prompt": False, "n_probs": VOCABULARY_SIZE, "logit_bias": [[65, 1000]]})
    by_id = {t["id"]: round(t["logprob"], 4) for t in answer["completion_probabilities"][0]["top_logprobs"]}
    return [by_id[token] for token in range(VOCABULARY_SIZE)]


def vector(server, prompt, count):
    """So many values of the prompt's vector; of scores llama.cpp writes as many values, and nothing of meaning behind the scores."""
    answer = server.post("/embedding", {"content": prompt, "embd_normalize": -1})
    found = answer[0]["embedding"]
    return [round(v, 5) for v in (found[0] if isinstance(found[0], list) else found)[:count]]


def pools(path):
    """Whether the file has the key of a pooling."""
    with open(path, "rb") as file:
        return b".pooling_type" in file.read(1 << 16)


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    models, data = os.path.join(sys.argv[2], "architectures"), sys.argv[3]
    target = os.path.join(data, "architecture-truth.json")
    names = sys.argv[4:] or sorted(name.removesuffix(".gguf") for name in os.listdir(models))
    truth = {}
    if sys.argv[4:] and os.path.exists(target):
        with open(target, encoding="utf-8") as file:
            truth = json.load(file)["models"]
    with repaired_copy(sys.argv[1]) as folder:
        for name in names:
            path = os.path.join(models, name + ".gguf")
            is_encoder = pools(path)
            try:
                with Server(folder, path, *OPTIONS, *(["--embedding"] if is_encoder else [])) as server:
                    count = SCORES.get(name)
                    truth[name] = [vector(server, prompt, count) if is_encoder else logprobs(server, prompt) for prompt in PROMPTS]
                print(name, file=sys.stderr)
            except RuntimeError as error:
                print(f"{name}: llama.cpp does not take it: {error}", file=sys.stderr)
        quantized = {}
        for name in QUANTIZED:
            with Server(folder, os.path.join(models, name + ".gguf"), *QUANTIZED_OPTIONS) as server:
                quantized[name] = [logprobs(server, prompt) for prompt in PROMPTS]
    write(target, truth)
    write(os.path.join(data, "quantized-cache-truth.json"), quantized)


def write(path, truth):
    with open(path, "w", encoding="utf-8") as file:
        lines = ",\n".join(f"{json.dumps(name)}:{json.dumps(truth[name], separators=(',', ':'))}" for name in sorted(truth))
        file.write('{"prompts":' + json.dumps(PROMPTS) + ',"models":{\n' + lines + "\n}}\n")


if __name__ == "__main__":
    main()
