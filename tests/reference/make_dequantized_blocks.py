#!/usr/bin/env python3
"""Writes what llama.cpp reads from random quantised blocks, for RowReaderTests.

usage: make_dequantized_blocks.py LLAMA_CPP_FOLDER > tests/Sluice.Tests/Data/dequantized-blocks.json

Per type: base64 of blocks of 512 values in all, every bit of them drawn but for scales, which are finite; and base64 of the singles that
ggml's own dequantize_row_* makes of them.
"""
import base64
import ctypes
import json
import os
import random
import struct
import sys

from llama_peer import repaired_copy

# Type: name of the function, bytes and values of a block, where its halves stand.
TYPES = {
    "Q4_0": ("q4_0", 18, 32, [0]), "Q4_1": ("q4_1", 20, 32, [0, 2]), "Q5_0": ("q5_0", 22, 32, [0]), "Q5_1": ("q5_1", 24, 32, [0, 2]),
    "Q8_0": ("q8_0", 34, 32, [0]), "Q2_K": ("q2_K", 84, 256, [80, 82]), "Q3_K": ("q3_K", 110, 256, [108]), "Q4_K": ("q4_K", 144, 256, [0, 2]),
    "Q5_K": ("q5_K", 176, 256, [0, 2]), "Q6_K": ("q6_K", 210, 256, [208]), "IQ4_NL": ("iq4_nl", 18, 32, [0]), "IQ4_XS": ("iq4_xs", 136, 256, [0]),
    "IQ2_XXS": ("iq2_xxs", 66, 256, [0]), "IQ2_XS": ("iq2_xs", 74, 256, [0]), "IQ2_S": ("iq2_s", 82, 256, [0]),
    "IQ3_XXS": ("iq3_xxs", 98, 256, [0]), "IQ3_S": ("iq3_s", 110, 256, [0]),
    "MXFP4": ("mxfp4", 17, 32, []),
}
VALUES = 512


def blocks(draw, size, count, halves):
    data = bytearray(draw.randrange(256) for _ in range(size * count))
    for block in range(count):
        for at in halves:
            # A few subnormal ones.
            scale = draw.choice([draw.uniform(-0.5, 0.5), draw.uniform(-2, 2), draw.uniform(-6e-5, 6e-5)])
            struct.pack_into("<e", data, block * size + at, scale)
    return bytes(data)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    draw = random.Random(19)
    result = {}
    with repaired_copy(sys.argv[1]) as folder:
        library = ctypes.CDLL(os.path.join(folder, "libggml-base.so"))
        for kind, (name, size, length, halves) in TYPES.items():
            data = bytearray(blocks(draw, size, VALUES // length, halves))
            if kind == "MXFP4":
                # All exponents but those whose values are beyond single precision; 0 and 1 give subnormal ones.
                for block in range(VALUES // length):
                    data[block * size] = block if block < 2 else draw.randrange(252)
            values = (ctypes.c_float * VALUES)()
            getattr(library, "dequantize_row_" + name)(bytes(data), values, ctypes.c_int64(VALUES))
            result[kind] = {"blocks": base64.b64encode(data).decode(), "values": base64.b64encode(bytes(values)).decode()}
    json.dump(result, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
