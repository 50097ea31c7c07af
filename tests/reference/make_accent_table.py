#!/usr/bin/env python3
"""Writes src/Sluice.Inference/Tokenization/AccentTable.cs: what is left of characters when their accents are taken off.

usage: make_accent_table.py > src/Sluice.Inference/Tokenization/AccentTable.cs

Canonical decomposition (NFD) without non-spacing marks, of characters below U+10000 that become one character. Hangul is decomposed by
formula, and characters that are themselves marks are dropped elsewhere. Needs Python's unicodedata only.
"""
import unicodedata

pairs = ""
for point in range(0x80, 0x10000):
    if 0xD800 <= point < 0xE000 or 0xAC00 <= point < 0xD7A4:
        continue
    kept = [c for c in unicodedata.normalize("NFD", chr(point)) if unicodedata.category(c) != "Mn"]
    if len(kept) == 1 and kept[0] != chr(point) and ord(kept[0]) < 0x10000:
        pairs += chr(point) + kept[0]

lines = []
line = ""
for c in pairs:
    text = c if 0x20 < ord(c) < 0x7F and c not in '"\\' else f"\\u{ord(c):04X}"
    if len(line) + len(text) > 120:
        lines.append(line)
        line = ""
    line += text
lines.append(line)
body = "\n        + ".join(f'"{line}"' for line in lines)
print(f"""namespace Sluice.Inference.Tokenization;

/// <summary>Characters with accents and what is left without: pairs, ascending. Written by tests/reference/make_accent_table.py from Unicode {unicodedata.unidata_version}.</summary>
internal static class AccentTable
{{
    private const string Pairs =
        {body};

    /// <summary>The character without its accents; itself where it has none.</summary>
    public static char Strip(char character)
    {{
        var (low, high) = (0, (Pairs.Length / 2) - 1);
        while (low <= high)
        {{
            var middle = (low + high) / 2;
            if (Pairs[2 * middle] == character) return Pairs[(2 * middle) + 1];
            (low, high) = Pairs[2 * middle] < character ? (middle + 1, high) : (low, middle - 1);
        }}

        return character;
    }}
}}""")
