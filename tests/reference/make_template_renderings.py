#!/usr/bin/env python3
"""Renders chat templates with Jinja2, the judge of src/Sluice.Inference/ChatTemplates.

    /usr/bin/python3 tests/reference/make_template_renderings.py [--llama FOLDER] [--model FILE]

Needs Jinja2 3.1 (Debian: python3-jinja2) and the folder of shared files (SLUICE_SHARED, by default ../shared beside the
repository). Writes three files to tests/Sluice.Tests/Data/ChatTemplates:

  conversations.json  variables to render with, by name
  renderings.json     for each template of shared/data/templates and each conversation: text, or SHA-256 and length, or error
  snippets.json       small templates with their outputs, and the default model's template with its renderings

With --llama, the default model's template is also rendered by that llama-server (a folder with the program, its *.so* files
whole) and the script stops if the two differ.

The environment is that of transformers' apply_chat_template: sandboxed, blocks trimmed, loop controls, `generation` blocks,
tojson as json.dumps without escaping, raise_exception, and strftime_now at a fixed time.
"""

import argparse
import datetime
import hashlib
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from template_cases import CONVERSATIONS, SNIPPETS, SNIPPET_VARIABLES  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = pathlib.Path(os.environ.get("SLUICE_SHARED", ROOT.parent / "shared"))
OUTPUT = ROOT / "tests/Sluice.Tests/Data/ChatTemplates"
NOW = datetime.datetime(2025, 7, 4, 13, 5, 9, 123456)
KEPT_WHOLE = {"plain", "tools"}


class GenerationBlock(jinja2.ext.Extension):
    """{% generation %} as transformers has it: the body in a scope of its own."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_render"), [], [], body).set_lineno(line)

    def _render(self, caller):
        return caller()


def make_environment(sandbox):
    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    environment = sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[GenerationBlock, "jinja2.ext.loopcontrols"])
    environment.filters["tojson"] = tojson
    environment.filters["from_json"] = json.loads
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = NOW.strftime
    return environment


STRICT = make_environment(jinja2.sandbox.ImmutableSandboxedEnvironment)
# Sluice lets a template change the lists it has made; transformers' sandbox does not, and so refuses Kimi K2's own template.
LENIENT = make_environment(jinja2.sandbox.SandboxedEnvironment)


def render(source, variables):
    """The outcome: {"text"} or {"error"}, with "raised" for the template's own exceptions."""
    for environment in (STRICT, LENIENT):
        try:
            # A copy, so that a template that changes its input does so for itself only.
            return {"text": environment.from_string(source).render(**json.loads(json.dumps(variables)))}
        except jinja2.exceptions.SecurityError:
            continue
        except jinja2.exceptions.TemplateError as error:
            if type(error) is jinja2.exceptions.TemplateError:
                return {"raised": str(error)}
            return {"error": f"{type(error).__name__}: {error}"}
        except Exception as error:  # Python's own errors are a template's too.
            return {"error": f"{type(error).__name__}: {error}"}
    return {"error": "SecurityError"}


def shorten(outcome, is_kept):
    if "text" not in outcome or is_kept:
        return outcome
    text = outcome["text"]
    return {"sha256": hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(), "length": len(text)}


def read_model_template(path):
    """The value of tokenizer.chat_template in a GGUF file."""
    sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
    with open(path, "rb") as file:

        def number(form):
            return struct.unpack("<" + form, file.read(struct.calcsize(form)))[0]

        def value(kind):
            if kind == 8:
                return file.read(number("Q")).decode()
            if kind == 9:
                item = number("I")
                return [value(item) for _ in range(number("Q"))]
            return file.read(sizes[kind])

        file.read(8)
        number("Q")
        for _ in range(number("Q")):
            key = value(8)
            content = value(number("I"))
            if key == "tokenizer.chat_template":
                return content
    raise SystemExit(f"{path} has no chat template")


def check_llama(folder, model, cases):
    """Compares the renderings of the default model with llama-server's."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(pathlib.Path(folder) / "llama-server"), "--jinja", "--model", str(model), "--port", str(port), "--ctx-size", "512"]
    compared = 0
    with tempfile.TemporaryFile() as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            for name, variables, expected in cases:
                body = {"messages": variables["messages"], "add_generation_prompt": variables["add_generation_prompt"]}
                request = urllib.request.Request(
                    f"http://127.0.0.1:{port}/apply-template", json.dumps(body).encode(), {"Content-Type": "application/json"})
                for _ in range(120):
                    try:
                        prompt = json.load(urllib.request.urlopen(request))["prompt"]
                        break
                    except OSError as error:
                        if hasattr(error, "code") and error.code != 503:
                            raise SystemExit(f"{name}: llama-server says {error.code} {error.read()}")
                        time.sleep(0.5)
                else:
                    raise SystemExit("llama-server does not start")
                if prompt != expected:
                    raise SystemExit(f"{name}: llama-server renders {prompt!r}, Jinja2 {expected!r}")
                compared += 1
        finally:
            server.terminate()
    print(f"llama-server agrees on {compared} conversations")


def write(name, value):
    OUTPUT.mkdir(parents=True, exist_ok=True)
    path = OUTPUT / name
    path.write_text(json.dumps(value, ensure_ascii=True, indent=1) + "\n")
    print(path.relative_to(ROOT), path.stat().st_size)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--llama")
    parser.add_argument("--model", default=ROOT / "models/SmolLM2-135M-Instruct.Q4_1.gguf")
    options = parser.parse_args()

    renderings = {}
    for path in sorted((SHARED / "data/templates").glob("*.jinja")):
        source = path.read_bytes().decode()
        renderings[path.name] = {
            name: shorten(render(source, variables), name in KEPT_WHOLE) for name, variables in CONVERSATIONS.items()}
    model_template = read_model_template(options.model)
    model = {name: render(model_template, variables) for name, variables in CONVERSATIONS.items()}

    write("conversations.json", CONVERSATIONS)
    write("renderings.json", renderings)
    write("snippets.json", {
        "variables": SNIPPET_VARIABLES,
        "snippets": [{"source": source, **render(source, SNIPPET_VARIABLES)} for source in SNIPPETS],
        "model": {"template": model_template, "renderings": model},
    })

    counts = {kind: sum(kind in outcome for each in renderings.values() for outcome in each.values())
              for kind in ("text", "sha256", "raised", "error")}
    print("renderings:", counts)
    if options.llama:
        names = ["plain", "system", "turns", "turns-open", "lookalikes", "unicode"]
        check_llama(options.llama, options.model, [(name, CONVERSATIONS[name], model[name]["text"]) for name in names])


if __name__ == "__main__":
    main()
