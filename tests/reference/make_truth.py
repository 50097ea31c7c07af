#!/usr/bin/env python3
"""Writes what llama.cpp makes of the shipped model, for the tests in Inference/Truth.

usage: make_truth.py LLAMA_CPP_FOLDER MODEL.gguf > tests/Sluice.Tests/Data/smollm2-truth.json

Per prompt: the text that the chat template renders, its tokens, up to 64 greedy tokens, and for each of them the ten most likely
tokens with their log probabilities before sampling. "noise" is llama.cpp against itself, with its other attention routine (-fa off):
differences of the log probability of tokens among both top tens, over the positions before the greedy tokens part; "likely" are
those above -2.3. It is the scale for tolerances: activations are rounded to 8 bits, so that the smallest change of a sum
anywhere turns some of them to the next step, and the layers above turn more.
"""
import json
import sys

from llama_peer import Server, repaired_copy

TOKENS = 64
TOP = 10

SENTENCES = [
    "The harbour of the old town was built in the fourteenth century, when salt was worth more than silver.",
    "Every spring the river carried down so much sand that forty men with shovels had to free the channel again.",
    "A merchant named Aldous Finch kept a diary in which he wrote down the names of all ships, their cargo and the weather.",
    "In 1482 he counted 211 ships with salt, 87 with herring, 34 with wool and three with spices from the south.",
    "The town council paid him two gulden a year for these notes, because the toll was computed from them.",
    "When the great storm of 1491 broke the outer dam, the diary was saved by his daughter Maren, who hid it in the bell tower.",
    "She went on writing for thirty more years, and her hand is easier to read than her father's.",
    "From her we know that the first lighthouse burned rape oil, that it went out eleven times, and that one keeper was dismissed for sleeping.",
    "The council then bought a clock from Nuremberg, so that the keepers could be paid by the hour.",
    "Today the diary lies in the museum beside the fish market, open at the page of the storm.",
]

CHATS = {
    "capital": [{"role": "user", "content": "What is the capital of France?"}],
    "system": [
        {"role": "system", "content": "You are a pirate. Answer every question like a pirate would, in two sentences."},
        {"role": "user", "content": "How do I boil an egg?"},
    ],
    "three turns": [
        {"role": "user", "content": "Give me a name for a grey cat."},
        {"role": "assistant", "content": "How about Ash?"},
        {"role": "user", "content": "Nice. And one for a black dog?"},
        {"role": "assistant", "content": "Shadow would suit him."},
        {"role": "user", "content": "Write a short story about the two of them."},
    ],
    "code": [{"role": "user", "content": "Write a Python function `is_prime(n)` that returns True when n is prime.\n\n```python\ndef is_prime(n):\n```"}],
    "unicode": [{"role": "user", "content": "Translate to English: „Grüße aus Köln – das Café öffnet um 9 Uhr“. 你好,世界!🚀"}],
    "long": [{"role": "user", "content": "Read the following text and list the most important facts.\n\n" + " ".join(SENTENCES + SENTENCES[:8]) + "\n\nFacts:"}],
}

TEXTS = {
    "raw prose": "Once upon a time, in a small village at the foot of a mountain, there lived",
    "raw code": "using System;\n\npublic static class Program\n{\n    public static void Main(string[] args)\n    {\n        for (int i = 0; i < 10; i++)\n        {\n",
    "raw numbers": "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,",
    "raw unicode": "La forêt s’éveille: le rouge-gorge chante, la rosée brille et",
}


def complete(server, tokens):
    return server.post("/completion", {
        "prompt": tokens, "n_predict": TOKENS, "temperature": 0, "cache_prompt": False, "n_probs": TOP, "return_tokens": True})


def positions(answer):
    return [[[t["id"], round(t["logprob"], 4)] for t in p["top_logprobs"]] for p in answer["completion_probabilities"]]


def record(server, name, messages, text):
    if messages is not None:
        text = server.post("/apply-template", {"messages": messages})["prompt"]
    tokens = server.post("/tokenize", {"content": text, "add_special": True, "parse_special": messages is not None})["tokens"]
    answer = complete(server, tokens)
    top = positions(answer)
    greedy = [p["id"] for p in answer["completion_probabilities"]]
    assert greedy == [p[0][0] for p in top], name

    # llama-server leaves tokens out that end within a character; what follows them has another past than it seems.
    whole = next((i for i, pair in enumerate(zip(greedy, answer["tokens"])) if pair[0] != pair[1]), len(greedy))
    greedy, top = greedy[:whole], top[:whole]
    case = {"name": name, "text": text, "tokens": tokens, "greedy": greedy, "stopped": answer["stop_type"], "top": top}
    if messages is not None:
        case["messages"] = messages
    return case


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with repaired_copy(sys.argv[1]) as folder:
        with Server(folder, sys.argv[2], "-t", "2", "-c", "4096", "-np", "1") as server:
            cases = [record(server, name, messages, None) for name, messages in CHATS.items()]
            cases += [record(server, name, None, text) for name, text in TEXTS.items()]
        pairs = []
        with Server(folder, sys.argv[2], "-t", "2", "-c", "4096", "-np", "1", "-fa", "off") as server:
            for case in cases:
                for one, two in zip(case["top"], positions(complete(server, case["tokens"]))):
                    other = dict(map(tuple, two))
                    pairs += [(logprob, abs(logprob - other[token])) for token, logprob in one if token in other]
                    if one[0][0] != two[0][0]:
                        break
    noise = {}
    for name, differences in (("all", [d for _, d in pairs]), ("likely", [d for logprob, d in pairs if logprob > -2.3])):
        noise[name] = {"mean": round(sum(differences) / len(differences), 4), "max": round(max(differences), 4), "count": len(differences)}
    print(json.dumps(noise), file=sys.stderr)
    lines = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases)
    print('{"noise":' + json.dumps(noise) + ',"cases":[\n' + lines + "\n]}")


if __name__ == "__main__":
    main()
