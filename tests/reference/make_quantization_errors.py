#!/usr/bin/env python3
"""Writes how much llama-quantize loses of some tensors of the shipped model, for ModelQuantizerTests.

usage: make_quantization_errors.py LLAMA_CPP_FOLDER MODEL.gguf > tests/Sluice.Tests/Data/quantization-errors.json

Per type and tensor: the root of the mean squared error over the root of the mean square, against the same model kept as F32.
"""
import ctypes
import json
import math
import os
import struct
import subprocess
import sys
import tempfile

from llama_peer import environment, repaired_copy

TENSORS = ["blk.0.attn_output.weight", "blk.0.attn_k.weight", "blk.15.ffn_down.weight", "blk.29.ffn_up.weight"]
TYPES = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"]

# llama-quantize gives MXFP4 to experts only, so both are made by the function that it calls, without its weights of importance.
TABLE_TYPES = {"IQ4_NL": ("iq4_nl", 18), "MXFP4": ("mxfp4", 17)}

# Rows of this one only are whole super-blocks, and these mixes give it the type itself.
SUPER_BLOCK_TENSORS = ["blk.15.ffn_down.weight"]
SUPER_BLOCK_TYPES = {"Q4_K": "Q4_K_S", "Q5_K": "Q5_K_S", "Q6_K": "Q6_K"}
SIZES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}


def read_tensors(path, names=TENSORS):
    """Values of tensors as lists, from a file of the types with blocks of 32, or F32."""
    with open(path, "rb") as file:
        data = file.read()
    position = 8

    def take(kind):
        nonlocal position
        value = struct.unpack_from("<" + kind, data, position)[0]
        position += struct.calcsize("<" + kind)
        return value

    def text():
        nonlocal position
        length = take("Q")
        position += length
        return data[position - length:position]

    def skip(kind):
        if kind == 8:
            text()
        elif kind == 9:
            element, count = take("I"), take("Q")
            for _ in range(count):
                skip(element)
        else:
            take(SIZES[kind])

    tensor_count, key_count = take("Q"), take("Q")
    for _ in range(key_count):
        text()
        skip(take("I"))
    found = {}
    for _ in range(tensor_count):
        name = text().decode()
        count = math.prod(take("Q") for _ in range(take("I")))
        found[name] = (take("I"), take("Q"), count)
    start = (position + 31) & -32
    return {name: decode(data, found[name][0], start + found[name][1], found[name][2]) for name in names}


def decode(data, kind, start, count):
    if kind == 0:
        return list(struct.unpack_from(f"<{count}f", data, start))
    values = []
    block_bytes = {2: 18, 3: 20, 6: 22, 7: 24, 8: 34}[kind]
    for block in range(start, start + count // 32 * block_bytes, block_bytes):
        scale = struct.unpack_from("<e", data, block)[0]
        if kind == 8:
            values += [scale * q for q in struct.unpack_from("<32b", data, block + 2)]
            continue
        minimum = struct.unpack_from("<e", data, block + 2)[0] if kind in (3, 7) else None
        nibbles = data[block + block_bytes - 16:block + block_bytes]
        integers = [b & 15 for b in nibbles] + [b >> 4 for b in nibbles]
        if kind in (6, 7):
            bits = struct.unpack_from("<I", data, block + block_bytes - 20)[0]
            integers = [q | (bits >> i & 1) << 4 for i, q in enumerate(integers)]
        zero = {2: 8, 6: 16}.get(kind, 0)
        values += [scale * (q - zero) + (minimum or 0) for q in integers]
    return values


def round_trip(library, function, block_bytes, values):
    count = len(values)
    blocks = ctypes.create_string_buffer(count // 32 * block_bytes)
    decoded = (ctypes.c_float * count)()
    getattr(library, f"quantize_row_{function}_ref")((ctypes.c_float * count)(*values), blocks, ctypes.c_int64(count))
    getattr(library, f"dequantize_row_{function}")(blocks, decoded, ctypes.c_int64(count))
    return list(decoded)


def main():
    with repaired_copy(sys.argv[1]) as folder, tempfile.TemporaryDirectory() as temporary:
        def quantize(source, kind):
            target = os.path.join(temporary, kind + ".gguf")
            subprocess.run([os.path.join(folder, "llama-quantize"), "--allow-requantize", source, target, kind],
                           env=environment(folder), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            return target

        original = quantize(sys.argv[2], "F32")
        truth = read_tensors(original)
        result = {}

        def errors(values):
            return {name: math.sqrt(sum((a - b) ** 2 for a, b in zip(truth[name], values[name])) / sum(a * a for a in truth[name])) for name in values}

        for kind in TYPES:
            result[kind] = errors(read_tensors(quantize(original, kind)))
        library = ctypes.CDLL(os.path.join(folder, "libggml-base.so"))
        for kind, (function, block_bytes) in TABLE_TYPES.items():
            result[kind] = errors({name: round_trip(library, function, block_bytes, values) for name, values in truth.items()})
        for kind, mix in SUPER_BLOCK_TYPES.items():
            # llama-quantize takes the super-blocks apart again itself.
            result[kind] = errors(read_tensors(quantize(quantize(original, mix), "F32"), SUPER_BLOCK_TENSORS))
        json.dump(result, sys.stdout, indent=1)
        print()


main()
