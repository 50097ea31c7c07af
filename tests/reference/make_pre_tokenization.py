#!/usr/bin/env python3
"""Writes how llama.cpp splits text under each name of tokenizer.ggml.pre, for PreTokenizerTests.

usage: make_pre_tokenization.py LLAMA_CPP_FOLDER > tests/Sluice.Tests/Data/pre-tokenization.json

All names get one made vocabulary: the 256 bytes, and merges that were learnt from the texts without splitting them, so that every border of
a split shows. "base" has the ids under llama-bpe; every other name only those of the texts that it tokenises otherwise, by index.
"""
import collections
import json
import os
import random
import sys
import tempfile

from gguf_file import write_tokenizer
from llama_peer import Server, repaired_copy
from make_tokenization import PIECES, TEXTS

BASE = "llama-bpe"
NAMES = [
    "gpt-2", "smollm", "qwen2", "qwen35", "gpt-4o", "llama4", "kanana2", "minimax-m2", "tekken", "refact", "dbrx", "smaug-bpe", "lfm2", "falcon-h1",
    "minicpm5", "glm4", "chatglm-bpe", "deepseek-v3", "hunyuan-dense", "hunyuan", "solar-open", "seed-coder", "exaone4",
]
MERGES = 1200
# Tokens that no merges lead to: taken whole where merges are ignored.
WHOLE = ["zebra", "\u0120okapi"]
WORDS = ["camelCase", "HTTPServer", "don't", "DON'T", "we'LL", "O'Neil", "\u00c9COLE", "\u0130stanbul", "\u01c5abc", "\u4e2d\u6587ABC", "ABC\u4e2d", "abc\u0301d", "A\u0301B",
         "\u0939\u093f\u0928\u094d\u0926\u0940", "\u3042\u30a2\u4e9c", "x/y/z", "//\n", "a/\n/b", "12345", "1234567", "\u0661\u0662\u0663\u0664", "\u00bd", "\ud55c\uad6d\uc5b4", "\u02b0x", "!\u0301", "$x", "\u20acuro", "_id", "-\n\n", "\t\tif", "\r\n\r\n x",
         "\u200bword", "\u00adx", "\u00a0 x", "\ufe0f", "\U0001d400B", "zebra", " okapi", "'S", "it'S", "\u2019s", "X's", "\u4e2d's"]


def corpus():
    texts = [t for t in TEXTS if len(t) <= 60] + WORDS
    draw = random.Random(19)
    for _ in range(160):
        texts.append("".join(draw.choice(PIECES + WORDS) for _ in range(draw.randint(2, 8))))
    for _ in range(120):
        ranges = [(0x20, 0x7F), (0x20, 0x300), (0x300, 0x600), (0x900, 0xE00), (0x1E00, 0x2400), (0x3000, 0x3200), (0x4E00, 0x4F00), (0xAC00, 0xAD00), (0x1F300, 0x1F700)]
        texts.append("".join(chr(draw.randrange(*draw.choice(ranges))) for _ in range(draw.randint(2, 12))))
    # Special tokens are another matter.
    return [t for t in dict.fromkeys(texts) if "<|" not in t and "<s>" not in t]


def byte_alphabet():
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return {b: chr(b) for b in kept} | {b: chr(256 + i) for i, b in enumerate(b for b in range(256) if b not in kept)}


def learn(texts, alphabet):
    words = [[alphabet[b] for b in t.encode()] for t in texts]
    merges = []
    for _ in range(MERGES):
        pairs = collections.Counter(pair for word in words for pair in zip(word, word[1:]))
        (left, right), count = max(pairs.items(), key=lambda item: (item[1], item[0]))
        if count < 2:
            break
        merges.append(f"{left} {right}")
        for i, word in enumerate(words):
            joined, at = [], 0
            while at < len(word):
                if at + 1 < len(word) and word[at] == left and word[at + 1] == right:
                    joined.append(left + right)
                    at += 2
                else:
                    joined.append(word[at])
                    at += 1
            words[i] = joined
    return merges


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    texts = corpus()
    alphabet = byte_alphabet()
    merges = learn([t for t in texts if "zebra" not in t and "okapi" not in t], alphabet)
    # Some pairs lead to the same text.
    tokens = list(dict.fromkeys([*(alphabet[b] for b in range(256)), *(m.replace(" ", "") for m in merges), *WHOLE])) + ["<s>", "</s>"]
    keys = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.merges": merges,
            "tokenizer.ggml.token_type": [1] * (len(tokens) - 2) + [3, 3], "tokenizer.ggml.bos_token_id": len(tokens) - 2, "tokenizer.ggml.eos_token_id": len(tokens) - 1}
    result = {"texts": texts, "whole": WHOLE, "merges": merges, "names": {}}
    with repaired_copy(sys.argv[1]) as folder, tempfile.TemporaryDirectory() as temporary:
        for name in [BASE, *NAMES]:
            path = os.path.join(temporary, "model.gguf")
            write_tokenizer(path, {**keys, "tokenizer.ggml.pre": name})
            with Server(folder, path, "-t", "1", "-c", "64") as server:
                ids = [server.post("/tokenize", {"content": t, "add_special": False})["tokens"] for t in texts]
                has_begin = server.post("/tokenize", {"content": "a", "add_special": True})["tokens"][0] == len(tokens) - 2
            if name == BASE:
                result["base"] = ids
            others = {str(i): line for i, line in enumerate(ids) if line != result["base"][i]}
            result["names"][name] = {"begin": has_begin, "ids": others}
            print(name, len(others), file=sys.stderr)
    # One line for each part.
    parts = [f'"{k}":{json.dumps(result[k], separators=(",", ":"))}' for k in ("texts", "whole", "merges", "base")]
    names = ",\n".join(f' "{k}":{json.dumps(v, separators=(",", ":"))}' for k, v in result["names"].items())
    print("{" + ",\n".join(parts) + ',\n"names":{\n' + names + "\n}}")


if __name__ == "__main__":
    main()
