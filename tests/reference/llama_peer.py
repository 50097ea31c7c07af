"""Runs llama.cpp's programs for the scripts beside this file. Needs nothing but Python's standard library."""
import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

LINK_BYTES_MAX = 200


@contextlib.contextmanager
def repaired_copy(folder):
    """A temporary copy of a llama.cpp folder in which each library that is a small text file is a link to the name it contains."""
    with tempfile.TemporaryDirectory() as temporary:
        target = os.path.join(temporary, "llama")
        shutil.copytree(folder, target, symlinks=True)
        for name in os.listdir(target):
            path = os.path.join(target, name)
            if ".so" in name and not os.path.islink(path) and os.path.getsize(path) < LINK_BYTES_MAX:
                with open(path, encoding="utf-8") as file:
                    link = file.read().strip()
                os.remove(path)
                os.symlink(link, path)
            elif not os.path.islink(path):
                os.chmod(path, 0o755)
        yield target


def environment(folder):
    return {**os.environ, "LD_LIBRARY_PATH": folder}


class Server:
    """A llama-server with one model on a free loopback port; a context manager."""

    def __init__(self, folder, model, *arguments):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [os.path.join(folder, "llama-server"), "-m", model, "--host", "127.0.0.1", "--port", str(self._port), "--no-warmup", *arguments],
            env=environment(folder), stdout=self._log, stderr=subprocess.STDOUT)
        for _ in range(600):
            if self._process.poll() is not None:
                self._log.seek(0)
                raise RuntimeError(f"llama-server ended with code {self._process.returncode}:\n{self._log.read().decode(errors='replace')[-2000:]}")
            try:
                self.post("/tokenize", {"content": "a"})
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        self.__exit__()
        raise RuntimeError("llama-server is not ready after a minute")

    @property
    def port(self):
        return self._port

    def kill(self):
        self._process.kill()

    def post(self, path, body):
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=300) as response:
            return json.load(response)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait()


def quantize(folder, source, target, kind, *options):
    """Requantises a file as llama-quantize does."""
    subprocess.run(
        [os.path.join(folder, "llama-quantize"), "--allow-requantize", *options, source, target, kind, "2"],
        env=environment(folder), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
