#!/usr/bin/env python3
"""Writes the grids of IQ2 and IQ3, asked of llama.cpp's dequantiser, for src/Sluice.Inference.

usage: make_grids.py LLAMA_CPP_FOLDER > src/Sluice.Inference/Quantization/grids.bin

Each type is given blocks with a scale of 1, no signs, and one index after another; what it makes of them are the magnitudes. In the file stand
their ranks among the type's magnitudes: two bits each in 256 x 8 (IQ2_XXS), 512 x 8 (IQ2_XS) and 1024 x 8 (IQ2_S), four bits each in
256 x 4 (IQ3_XXS) and 512 x 4 (IQ3_S), the first one lowest in its byte.
"""
import ctypes
import os
import struct
import sys

from llama_peer import repaired_copy

LENGTH = 256
TWO = [8, 25, 43]
THREE = [4, 12, 20, 28, 36, 44, 52, 62]
ODD = list(range(1, 16, 2))


def two_xxs(block, index):
    block[2] = index


def two_xs(block, index):
    struct.pack_into("<H", block, 2, index)


def two_s(block, index):
    block[2], block[66] = index & 255, index >> 8


def three_xxs(block, index):
    block[2] = index


def three_s(block, index):
    block[2], block[66] = index & 255, index >> 8


# Function, bytes of a block, indices, values of an index, factor that undoes the smallest scale, magnitudes, bits of a rank, how an index is put.
TYPES = [
    ("iq2_xxs", 66, 256, 8, 8, TWO, 2, two_xxs), ("iq2_xs", 74, 512, 8, 8, TWO, 2, two_xs), ("iq2_s", 82, 1024, 8, 8, TWO, 2, two_s),
    ("iq3_xxs", 98, 256, 4, 4, THREE, 4, three_xxs), ("iq3_s", 110, 512, 4, 1, ODD, 4, three_s),
]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with repaired_copy(sys.argv[1]) as folder:
        library = ctypes.CDLL(os.path.join(folder, "libggml-base.so"))
        for name, size, count, length, factor, magnitudes, bits, put in TYPES:
            packed = bytearray(count * length * bits // 8)
            for index in range(count):
                block = bytearray(size)
                struct.pack_into("<e", block, 0, 1)
                put(block, index)
                values = (ctypes.c_float * LENGTH)()
                getattr(library, "dequantize_row_" + name)(bytes(block), values, ctypes.c_int64(LENGTH))
                for i in range(length):
                    at = (index * length + i) * bits
                    packed[at // 8] |= magnitudes.index(values[i] * factor) << (at % 8)
            sys.stdout.buffer.write(packed)


if __name__ == "__main__":
    main()
