#!/usr/bin/env python3
"""Writes the token ids that llama.cpp gives for a nasty corpus, for TokenizerReferenceTests.

usage: make_tokenization.py LLAMA_CPP_FOLDER MODEL.gguf > tests/Sluice.Tests/Data/smollm2-tokenization.json

LLAMA_CPP_FOLDER holds llama-server and its libraries. A library that is a small text file holds the name of the file that it
should link to; it becomes a link in a temporary copy. Needs nothing but Python's standard library.
"""
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

LINK_BYTES_MAX = 200

TEXTS = [
    "", " ", "  ", "   ", "    ", " " * 17, " " * 200, "\t", "\t\t", "\t \t", "\n", "\n\n", "\n\n\n", "\r\n", "\r", "\r\n\r\n", " \n", "\n ",
    "  \n  \n", "\n\t\n", "a\n", "\na", "a\n\n b", "a \n b", "a\t b", "a \tb", "a  b", "a   b", "a    b ", " a", "  a", "a ", "a  ",
    # contractions
    "I'm you're he's she'll they'd we've don't", "I'M YOU'RE HE'S SHE'LL THEY'D WE'VE DON'T", "'s 't 're 've 'm 'll 'd", "'S'T'RE'VE'M'LL'D",
    "it's's", "''s", "'", "''", " 's", "l'l", "'l", "'r", "'v", "'re'", "rock 'n' roll", "O'Reilly\u2019s", "can\u2019t", "'\u017f", "'Re 'rE",
    # numbers
    "0", "1", "12", "123", "1234567890", "3.14159", "1,000,000", "-42", "+1", "1e-9", "0x7fff", "a1b2c3", "1a", "1 2 3", "1  2", "1   2", "a  1",
    "a 1", "  1", " 1", "\n1", "\n 1", "1\n2", "1 \n2", "\u00b2\u00b3\u00b9", "x\u00b2", "\u00bd cup", "\u2167 \u2160\u2161", "\u0661\u0662\u0663", "\u0967\u0968",
    "\uff11\uff12", "\U0001d7d8\U0001d7d9", "\U0001d7ce 1", "a \u00b2", "a  \u00b2", "50%", "$9.99", "\u20ac5", "5\u20ac", "2024-02-29T12:34:56Z",
    "192.168.0.1:8080", "\u2460\u2461", "\u3007", "1's", "9'll",
    # code
    "def f(x):\n    return x ** 2\n", "for (int i = 0; i < n; ++i) {\n\tsum += a[i];\n}", "if (a && b || !c) { return; } // done",
    "#include <stdio.h>\r\n\r\nint main(void)\r\n{\r\n    return 0;\r\n}\r\n", "SELECT * FROM t WHERE a = 'b' AND c <> 1;--x",
    "<div class=\"a b\">&nbsp;</div>", "{\"a\": [1, 2, {\"b\": null}], \"c\": \"\\u00e9\\n\"}", "x->y::z<T>{}[];", "a=b==c===d!=e!==f", "/* ... */ //// ///",
    "https://example.org/path?q=1&r=%20#frag", "C:\\Users\\me\\file.txt", "user@example.org", "snake_case camelCase PascalCase kebab-case SCREAMING_CASE",
    "```python\nprint('hi')\n```", "\\begin{equation} \\frac{1}{2} \\end{equation}", "$(( 1 + 2 )) && echo \"$HOME\" | sed 's/a/b/g'", "0b1010_1010 1_000",
    "        deep\n            deeper\n                deepest", "\tif x:\n\t\tpass\n", "a\u00a0b", "----------", "==========", "**********", "..........",
    "!?!?!?", "(((((", ")))))", "[[[]]]", "~~~~", "____", "#hashtag @mention", "a/b\\c|d", "<<<>>>", "<|", "|>", "<||>", "<|>", "\u00ab\u00bb\u201e\u201c\u2026\u2014\u2013",
    # special-token look-alikes
    "<|im_end|>", "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", "<|endoftext|>", "a<|im_end|>b", " <|im_end|> ", "<|im_end|", "|im_end|>",
    "<|im_end|><|im_end|>", "<|im_<|im_end|>end|>", "<| im_end |>", "<|IM_END|>", "<|im_end|>>", "<<|im_end|>", "<repo_name>x<file_sep>y", "<reponame>",
    "<issue_start><issue_comment><issue_closed>", "<jupyter_start><jupyter_text><jupyter_code><jupyter_output><jupyter_script>", "<empty_output>",
    "<filename>a.py<gh_stars>100-1000", "<s></s><unk><pad>", "[INST] [/INST]", "<|eot_id|>", "<\u200b|im_end|>", "&lt;|im_end|&gt;", "1<|im_end|>2", "  <|im_end|>  1",
    # scripts
    "Gr\u00fc\u00dfe aus K\u00f6ln", "na\u00efve caf\u00e9 r\u00e9sum\u00e9", "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440!", "\u0393\u03b5\u03b9\u03ac \u03c3\u03bf\u03c5",
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002", "\u6211\u60f3\u5728apple\u5de5\u4f5c1314151\u5929\uff5e", "\u3053\u3093\u306b\u3061\u306f\u3001\u4e16\u754c\uff01", "\u30ab\u30bf\u30ab\u30ca \uff8a\uff9d\uff76\uff78", "\uc548\ub155\ud558\uc138\uc694 \uc138\uacc4",
    "\u1112\u1161\u11ab", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01", "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e", "\u0995\u09cd\u09b7", "\u179f\u17bd\u179f\u17d2\u178f\u17b8", "\u10d2\u10d0\u10db\u10d0\u10e0\u10ef\u10dd\u10d1\u10d0",
    "\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd \u05e2\u05d5\u05dc\u05dd", "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645", "\u202bRTL\u202c \u200fmark\u200e", "abc \u05d0\u05d1\u05d2 123 \u05d3", "\u0640\u0640\u0640",
    "C\u1eeda Vi\u1ec7t Nam", "e\u0301 vs \u00e9", "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324A\u030aL\u0321G", "a\u0300\u0301\u0302b", "\u0301", " \u0301", "\u1ea0\u1ea1 n\u0303",
    "\u01c5 \u02b0 \u00aa \u00ba", "\ufb01 \ufb02 \u0130 \u0131 \u1e9e", "\u2135 \u2102 \u212b \u2126", "\U0001d400\U0001d401\U0001d402 \U0001d504", "\U00010330\U00010331", "\U00020000\U0002a6d6", "\U0001e900",
    # emoji
    "\U0001f600", "\U0001f600\U0001f601\U0001f602", " \U0001f680 ", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", "\U0001f44d\U0001f3fd", "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7", "\u2764\ufe0f\u200d\U0001f525", "1\ufe0f\u20e3", "\U0001f636\u200d\U0001f32b\ufe0f",
    "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "ok\U0001f44c.", "\u2705\u274c", "\u263a\ufe0e",
    # white space of all kinds
    "a\u2003b", "\u2003\u2003", "\u3000\u3000x", "a\u3000 b", "a \u3000b", "\u0085x", "x\u0085\u0085", "\u1680", "\u2028\u2029", "a\u2028b", "\u202f1", "\u205f ",
    "\u200b", "a\u200bb", " \u200b ", "\ufeffBOM", "\u180e", "\u2060x", "\u000b\u000c", "a\u000bb", "\u001c\u001d\u001e\u001f", "x\u001cy", " \u00a0 x",
    # control characters, private use, unassigned, the edges of UTF-8
    "\u0001\u0002\u0003", "\u007f", "\u0080\u009f", "a\u0000b", "\u0000", "\u001b[31mred\u001b[0m", "\b\b\b", "\ue000\uf8ff", "\ufffd", "\ufffe\uffff", "\U0010ffff", "\u07ff\u0800", "\uffff\U00010000", "\u0378\u0379", "\ufdd0", "\u00ad", "soft\u00adhyphen",
    # the vocabulary's own alphabet
    "\u0120", "\u0120hello", "\u010a", "\u0100\u0143", "\u2581the \u2581", "<0x0A>",
    # long
    "a" * 500, "A" * 33, "ab" * 40, "=" * 300, "\u00e9" * 100, "\u4e2d" * 70, "\U0001f600" * 40, "1" * 100, "\n" * 50, " \n" * 40, "supercalifragilisticexpialidocious" * 3,
    "antidisestablishmentarianismpneumonoultramicroscopicsilicovolcanoconiosis", "x" * 31, "x" * 32, "x" * 33, "x" * 47, "x" * 49,
    "The quick brown fox jumps over the lazy dog. " * 5, "THE QUICK BROWN FOX", "tHe QuIcK",
]

PIECES = [
    " ", "  ", "   ", "\n", "\t", "\r\n", "'", "'s", "'LL", "1", "23", "\u00b2", "a", "The", "hello", "ing", ".", ",", "!?", "(", "=", "->", "\u00e9", "\u0301", "\u4e2d\u6587",
    "\U0001f600", "\u200d", "\u3000", "\u0085", "\u05d0", "\u0645", "<|im_end|>", "<|", "|>", "_", "\\", "\"", "\u2019", "\U0001d7d8", "\u00a0", "\u0000", "<repo_name>",
]


def corpus():
    texts = list(TEXTS)
    draw = random.Random(20250102)
    for _ in range(150):
        texts.append("".join(draw.choice(PIECES) for _ in range(draw.randint(2, 14))))
    for _ in range(50):
        points = (draw.choice([draw.randrange(0x20, 0x300), draw.randrange(0x300, 0x3000), draw.randrange(0x1F000, 0x1FB00)]) for _ in range(draw.randint(1, 12)))
        texts.append("".join(map(chr, points)))
    return list(dict.fromkeys(texts))


def repaired_copy(folder, target):
    shutil.copytree(folder, target)
    for name in os.listdir(target):
        path = os.path.join(target, name)
        if ".so" in name and not os.path.islink(path) and os.path.getsize(path) < LINK_BYTES_MAX:
            with open(path, encoding="utf-8") as file:
                link = file.read().strip()
            os.remove(path)
            os.symlink(link, path)
    server = os.path.join(target, "llama-server")
    os.chmod(server, 0o755)
    return server


def post(port, path, body):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def wait_until_ready(port, process):
    for _ in range(600):
        if process.poll() is not None:
            sys.exit(f"llama-server ended with code {process.returncode}")
        try:
            return post(port, "/tokenize", {"content": "a"})
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    sys.exit("llama-server is not ready after a minute")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as temporary:
        server = repaired_copy(sys.argv[1], os.path.join(temporary, "llama"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        process = subprocess.Popen(
            [server, "-m", sys.argv[2], "--host", "127.0.0.1", "--port", str(port), "-c", "256", "-t", "1", "--no-warmup"],
            env={**os.environ, "LD_LIBRARY_PATH": os.path.dirname(server)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until_ready(port, process)
            lines = []
            for text in corpus():
                ids = [post(port, "/tokenize", {"content": text, "add_special": False, "parse_special": special})["tokens"] for special in (False, True)]
                line = {"text": text, "plain": ids[0]}
                if ids[1] != ids[0]:
                    line["special"] = ids[1]
                lines.append(json.dumps(line, separators=(",", ":")))
            print("[\n" + ",\n".join(lines) + "\n]")
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
