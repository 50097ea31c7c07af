#!/usr/bin/env python3
"""Writes what llama.cpp makes of texts with made vocabularies of the kinds gemma4, llama without a space before it, bert and t5, for MadeVocabularyTests.

usage: make_other_tokenization.py LLAMA_CPP_FOLDER > tests/Sluice.Tests/Data/other-tokenization.json
"""
import base64
import collections
import json
import os
import random
import struct
import sys
import tempfile

from gguf_file import write_tokenizer
from llama_peer import Server, repaired_copy
from make_pre_tokenization import WORDS
from make_tokenization import PIECES, TEXTS

SPACE = "\u2581"
# What normalisation replaces in the t5 vocabulary: as NFKC does, and white space and joiners.
REPLACED = {"\ufb01": "fi", "\u00bd": "1\u20442", "\u3000": " ", "\t": " ", "\n": " ", "\r": " ", "\u00a0": " ", "\u200b": "", "e\u0301": "\u00e9", "\u2026": "...", "\uff11": "1",
            "\u0130": "i\u0307", "\uff76\uff9e": "\u30ac", "\uff76": "\u30ab", "\u2460": "1"}


def corpus():
    # Control characters and spaces that C counts as white space are seen differently by llama.cpp's BERT, and special tokens are another matter.
    texts = [t for t in TEXTS if len(t) <= 80 and "<" not in t] + WORDS + ["\ufb01ne \u00bd", "\uff76\uff9e\uff76", "e\u0301t\u00e9", "a\u2026b", "\u2460\uff11", "x\u3000\u3000y", "a\n\nb\n\n\nc\nd", "\n\n\n\n\n", "unaffable", "un aff able"]
    draw = random.Random(20)
    pieces = [p for p in PIECES + WORDS + list(REPLACED) if "<" not in p]
    for _ in range(150):
        texts.append("".join(draw.choice(pieces) for _ in range(draw.randint(2, 8))))
    # llama.cpp reads tokens up to a zero.
    return [t for t in dict.fromkeys(texts) if "\0" not in t]


def learn(words, count):
    merges = []
    for _ in range(count):
        pairs = collections.Counter(pair for word in words for pair in zip(word, word[1:]))
        (left, right), _ = max(pairs.items(), key=lambda item: (item[1], item[0]))
        merges.append((left, right))
        for i, word in enumerate(words):
            joined, at = [], 0
            while at < len(word):
                pair = at + 1 < len(word) and (word[at], word[at + 1]) == (left, right)
                joined.append(left + right if pair else word[at])
                at += 2 if pair else 1
            words[i] = joined
    return merges


def common(texts, count):
    return [c for c, _ in sorted(collections.Counter("".join(texts)).most_common(count)) if c != " "]


def byte_tokens():
    return [f"<0x{b:02X}>" for b in range(256)]


def character_pairs(texts):
    escaped = [t.replace(" ", SPACE) for t in texts]
    merges = learn([list(t) for t in escaped], 500)
    words = list(dict.fromkeys([SPACE, *common(escaped, 90), *(a + b for a, b in merges), "\n\n", "\n\n\n"]))
    tokens = ["<pad>", "<eos>", "<bos>", "<unk>", *byte_tokens(), *(w for w in words)]
    return {
        "tokenizer.ggml.model": "gemma4", "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.merges": [f"{a} {b}" for a, b in merges],
        "tokenizer.ggml.token_type": [3, 3, 3, 2] + [6] * 256 + [1] * len(words), "tokenizer.ggml.scores": [0.0] * len(tokens),
        "tokenizer.ggml.bos_token_id": 2, "tokenizer.ggml.eos_token_id": 1, "tokenizer.ggml.unknown_token_id": 3, "tokenizer.ggml.add_bos_token": False}


def sentence_pieces(texts):
    escaped = [t.replace(" ", SPACE) for t in texts]
    merges = learn([list(t) for t in escaped], 500)
    words = list(dict.fromkeys([*(a + b for a, b in merges), SPACE, *common(escaped, 90)]))
    tokens = ["<pad>", "<eos>", "<bos>", "<unk>", *byte_tokens(), *words]
    return {
        "tokenizer.ggml.model": "llama", "tokenizer.ggml.pre": "default", "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.scores": [0.0] * 260 + [float(-i) for i in range(len(words))],
        "tokenizer.ggml.token_type": [3, 3, 3, 2] + [6] * 256 + [1] * len(words), "tokenizer.ggml.add_space_prefix": False,
        "tokenizer.ggml.bos_token_id": 2, "tokenizer.ggml.eos_token_id": 1, "tokenizer.ggml.unknown_token_id": 3}


def word_pieces(texts):
    words = [[SPACE, *w] for t in texts for w in t.lower().split()]
    merges = learn(words, 500)
    pieces = list(dict.fromkeys([*(a + b for a, b in merges), *common([t.lower() for t in texts], 80), *(SPACE + c for c in common([t.lower() for t in texts], 80))]))
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *pieces]
    return {
        "tokenizer.ggml.model": "bert", "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": [3, 2, 3, 3, 3] + [1] * len(pieces),
        "tokenizer.ggml.bos_token_id": 2, "tokenizer.ggml.cls_token_id": 2, "tokenizer.ggml.seperator_token_id": 3, "tokenizer.ggml.unknown_token_id": 1, "tokenizer.ggml.padding_token_id": 0}


def double_array(strings):
    """A trie as darts-clone lays it out: {bytes: value} to units."""
    root = {}
    for text, value in strings.items():
        node = root
        for b in text:
            node = node.setdefault(b, {})
        node[None] = value
    units, used = [0] * 4096, {0}

    def place(index, node):
        labels = [b or 0 for b in node]
        base = next(o for o in range(1, 4096) if all(index ^ o ^ b not in used for b in labels))
        units[index] |= base << 10 | (0x100 if None in node else 0)
        used.update(index ^ base ^ b for b in labels)
        for b, child in node.items():
            if b is None:
                units[index ^ base] = 1 << 31 | child
            else:
                units[index ^ base ^ b] = b
        for b, child in node.items():
            if b is not None:
                place(index ^ base ^ b, child)

    place(0, root)
    return units


def character_map():
    replacements, places = b"", {}
    for text, replacement in REPLACED.items():
        places[text.encode()] = len(replacements)
        replacements += replacement.encode() + b"\0"
    units = struct.pack("<4096I", *double_array(places))
    return struct.pack("<I", len(units)) + units + replacements


def unigrams(texts):
    draw = random.Random(21)
    merges = learn([list(t.replace(" ", SPACE)) for t in texts], 500)
    pieces = list(dict.fromkeys([SPACE, *common(texts, 90), *(a + b for a, b in merges)]))
    # No two sums alike, or the choice would be anyone's.
    scores = [round(-3 - 9 * draw.random() - 0.3 * (len(p) == 1), 4) for p in pieces]
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *pieces]
    return {
        "tokenizer.ggml.model": "t5", "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.scores": [0.0] * 4 + scores, "tokenizer.ggml.token_type": [3, 3, 3, 2] + [1] * len(pieces),
        "tokenizer.ggml.bos_token_id": 0, "tokenizer.ggml.eos_token_id": 2, "tokenizer.ggml.unknown_token_id": 3, "tokenizer.ggml.seperator_token_id": 2, "tokenizer.ggml.cls_token_id": 0,
        "tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.add_eos_token": True, "tokenizer.ggml.add_space_prefix": True, "tokenizer.ggml.remove_extra_whitespaces": True,
        "tokenizer.ggml.precompiled_charsmap": bytearray(character_map())}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    texts = corpus()
    lines = []
    with repaired_copy(sys.argv[1]) as folder, tempfile.TemporaryDirectory() as temporary:
        for name, make in {"gemma4": character_pairs, "llama": sentence_pieces, "bert": word_pieces, "t5": unigrams}.items():
            keys = make(texts)
            path = os.path.join(temporary, "model.gguf")
            write_tokenizer(path, keys)
            with Server(folder, path, "-t", "1", "-c", "64") as server:
                # In the special tokens' frame, so that it shows too.
                ids = [server.post("/tokenize", {"content": t, "add_special": True})["tokens"] for t in texts]
            keys = {k: base64.b64encode(v).decode() if isinstance(v, bytearray) else v for k, v in keys.items()}
            lines.append(f'"{name}":' + json.dumps({"keys": keys, "ids": ids}, separators=(",", ":")))
            print(name, file=sys.stderr)
    print("{" + ",\n".join(['"texts":' + json.dumps(texts, separators=(",", ":")), *lines]) + "}")


if __name__ == "__main__":
    main()
