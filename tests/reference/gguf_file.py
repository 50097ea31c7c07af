"""Writes small GGUF files for the scripts beside this file: keys, and a one-layer model of zeros that llama-server loads for its tokenizer."""
import struct

KINDS = {int: 4, float: 6, bool: 7, str: 8, list: 9}
WIDTH = 32


def _text(value):
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return struct.pack("<Q", len(data)) + data


def _value(value):
    if isinstance(value, bool):
        return struct.pack("<?", value)
    if isinstance(value, int):
        return struct.pack("<i", value)
    if isinstance(value, float):
        return struct.pack("<f", value)
    if isinstance(value, (str, bytes)):
        return _text(value)
    kind = 0 if isinstance(value, bytearray) else KINDS[type(value[0])] if value else 8
    # Scalars are unsigned, elements of arrays signed, as llama.cpp wants them; the bytes are the same.
    kind = 5 if kind == 4 else kind
    return struct.pack("<IQ", kind, len(value)) + b"".join(bytes([v]) if kind == 0 else _value(v) for v in value)


def _key(name, value):
    kind = 9 if isinstance(value, (list, bytearray)) else 8 if isinstance(value, bytes) else KINDS[type(value)]
    return _text(name) + struct.pack("<I", kind) + _value(value)


def write_tokenizer(path, keys):
    """A llama of one layer whose weights are zeros, with the given keys of its tokenizer."""
    count = len(keys["tokenizer.ggml.tokens"])
    all_keys = {
        "general.architecture": "llama", "llama.block_count": 1, "llama.context_length": 64, "llama.embedding_length": WIDTH,
        "llama.feed_forward_length": WIDTH, "llama.attention.head_count": 1, "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": WIDTH, **keys}
    square = [WIDTH, WIDTH]
    tensors = {"token_embd.weight": [WIDTH, count], "output_norm.weight": [WIDTH], "blk.0.attn_norm.weight": [WIDTH], "blk.0.ffn_norm.weight": [WIDTH]}
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        tensors[f"blk.0.{name}.weight"] = square
    header = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(all_keys)) + b"".join(_key(k, v) for k, v in all_keys.items())
    offset = 0
    for name, dimensions in tensors.items():
        header += _text(name) + struct.pack("<I", len(dimensions)) + b"".join(struct.pack("<Q", d) for d in dimensions) + struct.pack("<IQ", 0, offset)
        size = 4
        for d in dimensions:
            size *= d
        offset += (size + 31) & -32
    with open(path, "wb") as file:
        file.write(header + b"\0" * (-len(header) % 32) + b"\0" * offset)
