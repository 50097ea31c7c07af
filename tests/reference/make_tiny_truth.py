#!/usr/bin/env python3
"""Writes what llama.cpp makes of small random models, and of blocks that its own quantiser wrote.

usage: make_tiny_truth.py LLAMA_CPP_FOLDER TINY_MODELS_FOLDER DATA_FOLDER [NAME...]

TINY_MODELS_FOLDER is filled by: dotnet run -c Release --project bench/Sluice.Benchmarks -- write-tiny TINY_MODELS_FOLDER
Names pick some of the models, and the others stay as they are. DATA_FOLDER is tests/Sluice.Tests/Data; it receives

tiny-truth.json         per model and prompt the log probabilities of all tokens after it, by token id; "exact" are those of the same
                        model with all weights turned to F32 by llama.cpp, where it rounds no activations
quantized-blocks.json   per type two rows of a matrix as llama-quantize wrote them, and their values by the formulas of ggml's
                        documentation, in double precision: base64 of the blocks, and of little-endian singles
"""
import base64
import json
import os
import struct
import sys
import tempfile

from llama_peer import Server, quantize, repaired_copy

VOCABULARY_SIZE = 259
PROMPTS = [
    [65],
    [(i * 37 + 11) % 256 for i in range(33)],
    [(i * i * 7 + i * 3 + 5) % 258 for i in range(100)],
]
TYPES = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"]
ROWS = 2


def logprobs(server):
    result = []
    for prompt in PROMPTS:
        # The bias makes the server sample a whole character, or it would say nothing; the probabilities are those before sampling.
        answer = server.post("/completion", {
            "prompt": prompt, "n_predict": 1, "temperature": 0, "cache_prompt": False, "n_probs": VOCABULARY_SIZE, "logit_bias": [[65, 1000]]})
        top = answer["completion_probabilities"][0]["top_logprobs"]
        assert len(top) == VOCABULARY_SIZE
        by_id = {t["id"]: round(t["logprob"], 4) for t in top}
        result.append([by_id[token] for token in range(VOCABULARY_SIZE)])
    return result


def ask(folder, path):
    with Server(folder, path, "-t", "2", "-c", "256", "-np", "1") as server:
        return logprobs(server)


class Reader:
    """As much of a GGUF reader as finding a tensor takes."""

    SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}

    def __init__(self, path):
        with open(path, "rb") as file:
            self._bytes = file.read()
        self._at = 8
        tensors, keys = self._take("Q"), self._take("Q")
        for _ in range(keys):
            self._string()
            self._skip(self._take("I"))
        self.tensors = {}
        for _ in range(tensors):
            name = self._string()
            dimensions = [self._take("Q") for _ in range(self._take("I"))]
            kind, offset = self._take("I"), self._take("Q")
            self.tensors[name] = (dimensions, kind, offset)
        self._start = (self._at + 31) // 32 * 32

    def data(self, name, size):
        start = self._start + self.tensors[name][2]
        return self._bytes[start:start + size]

    def _take(self, code):
        value = struct.unpack_from("<" + code, self._bytes, self._at)[0]
        self._at += struct.calcsize(code)
        return value

    def _string(self):
        length = self._take("Q")
        self._at += length
        return self._bytes[self._at - length:self._at].decode()

    def _skip(self, kind):
        if kind == 8:
            self._string()
        elif kind == 9:
            kind, count = self._take("I"), self._take("Q")
            for _ in range(count):
                self._skip(kind)
        else:
            self._at += self.SIZES[kind]


def half(block, at):
    return struct.unpack_from("<e", block, at)[0]


def six_bits(packed, i):
    """Scale and minimum i of the 12 packed bytes of a Q4_K or Q5_K block."""
    if i < 4:
        return packed[i] & 63, packed[i + 4] & 63
    return (packed[i + 4] & 0xF) | (packed[i - 4] >> 6 << 4), (packed[i + 4] >> 4) | (packed[i] >> 6 << 4)


def nibble(data, i):
    """Value i of 32: the first half of a block in the low nibbles, the second in the high ones."""
    return data[i] & 15 if i < 16 else data[i - 16] >> 4


def values(kind, block):
    if kind == "Q4_0":
        return [half(block, 0) * (nibble(block[2:], i) - 8) for i in range(32)]
    if kind == "Q4_1":
        return [half(block, 0) * nibble(block[4:], i) + half(block, 2) for i in range(32)]
    if kind == "Q5_0":
        bits = struct.unpack_from("<I", block, 2)[0]
        return [half(block, 0) * ((nibble(block[6:], i) | (bits >> i & 1) << 4) - 16) for i in range(32)]
    if kind == "Q5_1":
        bits = struct.unpack_from("<I", block, 4)[0]
        return [half(block, 0) * (nibble(block[8:], i) | (bits >> i & 1) << 4) + half(block, 2) for i in range(32)]
    if kind == "Q8_0":
        return [half(block, 0) * struct.unpack_from("<b", block, 2 + i)[0] for i in range(32)]
    if kind in ("Q4_K", "Q5_K"):
        result = []
        low = block[16:] if kind == "Q4_K" else block[48:]
        for i in range(256):
            scale, minimum = six_bits(block[4:16], i // 32)
            byte = low[i // 64 * 32 + i % 32]
            q = byte & 15 if i // 32 % 2 == 0 else byte >> 4
            if kind == "Q5_K":
                q |= (block[16 + i % 32] >> (i // 32) & 1) << 4
            result.append(half(block, 0) * scale * q - half(block, 2) * minimum)
        return result
    assert kind == "Q6_K"
    result = []
    for i in range(256):
        half_block, within = divmod(i, 128)
        quarter, l = divmod(within, 32)
        byte = block[half_block * 64 + quarter % 2 * 32 + l]
        q = (byte & 15 if quarter < 2 else byte >> 4) | (block[128 + half_block * 32 + l] >> (2 * quarter) & 3) << 4
        result.append(half(block, 208) * struct.unpack_from("<b", block, 192 + i // 16)[0] * (q - 32))
    return result


BLOCK_BYTES = {"Q4_0": 18, "Q4_1": 20, "Q5_0": 22, "Q5_1": 24, "Q8_0": 34, "Q4_K": 144, "Q5_K": 176, "Q6_K": 210}


def quantized_blocks(folder, source, temporary):
    result = {}
    for kind in TYPES:
        path = os.path.join(temporary, kind)
        quantize(folder, source, path, kind, "--pure")
        reader = Reader(path)
        name = "blk.0.ffn_gate.weight"
        dimensions, _, _ = reader.tensors[name]
        per_block = 256 if kind.endswith("K") else 32
        data = reader.data(name, ROWS * dimensions[0] // per_block * BLOCK_BYTES[kind])
        numbers = [v for at in range(0, len(data), BLOCK_BYTES[kind]) for v in values(kind, data[at:at + BLOCK_BYTES[kind]])]
        result[kind] = {
            "blocks": base64.b64encode(data).decode(),
            "values": base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode(),
        }
    return result


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    models, data = sys.argv[2:4]
    target = os.path.join(data, "tiny-truth.json")
    names = [name + ".gguf" for name in sys.argv[4:]] or sorted(n for n in os.listdir(models) if n.endswith(".gguf"))
    truth = {}
    if sys.argv[4:]:
        with open(target, encoding="utf-8") as file:
            truth = json.load(file)["models"]
    with repaired_copy(sys.argv[1]) as folder, tempfile.TemporaryDirectory() as temporary:
        for name in names:
            path = os.path.join(models, name)
            entry = {"logprobs": ask(folder, path)}
            kinds = {kind for _, kind, _ in Reader(path).tensors.values()}
            if kinds - {0}:
                exact = os.path.join(temporary, "exact.gguf")
                quantize(folder, path, exact, "F32")
                entry["exact"] = ask(folder, exact)
            truth[name.removesuffix(".gguf")] = entry
            print(name, file=sys.stderr)
        blocks = quantized_blocks(folder, os.path.join(models, "llama-F16.gguf"), temporary)
    with open(target, "w", encoding="utf-8") as file:
        lines = ",\n".join(f"{json.dumps(name)}:{json.dumps(truth[name], separators=(',', ':'))}" for name in sorted(truth))
        file.write('{"prompts":' + json.dumps(PROMPTS) + ',"models":{\n' + lines + "\n}}\n")
    with open(os.path.join(data, "quantized-blocks.json"), "w", encoding="utf-8") as file:
        json.dump(blocks, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
