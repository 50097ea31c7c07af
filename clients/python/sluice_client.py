"""Under these transports an answer of Sluice outlives its connection; the application sees one stream.

    client = OpenAI(http_client=sluice_client.http_client())
    client = AsyncOpenAI(http_client=sluice_client.async_http_client())

They act on POSTs to ``.../chat/completions`` only, and go on only with what a Sluice has begun: a response with the header
``Sluice-Stream-Id``. They work on httpx2 and httpx, whichever the requests are made with, and are as safe to share between threads as the
transport within.
"""

import email.utils
import hashlib
import importlib
import importlib.util
import json
import random
import re
import sys
import time
import uuid

import anyio

_libraries = [importlib.import_module(name) for name in ("httpx2", "httpx") if importlib.util.find_spec(name)]
_TRANSPORT_ERRORS = tuple(library.TransportError for library in _libraries)
_TIMEOUTS = tuple(library.TimeoutException for library in _libraries)
_NEVER_SENT = tuple(library.ConnectError for library in _libraries)
_PATH = "/chat/completions"
_KEY_SECONDS = 15  # For automatic retries, with their waits.
_CANCEL_SECONDS = 1  # What a close may take at most.
_PAUSE_MAX = 5


def http_client(library=None, *, transport=None, resume=None, **options):
    """A client for ``OpenAI(http_client=...)``, with the SDK's own limits and timeouts.

    ``library`` is httpx2 or httpx; without it the first that is installed. ``transport`` sends the requests (proxies, certificates are its).
    ``resume`` has the arguments of ``Transport``, ``options`` those of the library's Client.
    """
    library = library or _libraries[0]
    inner = transport or library.HTTPTransport(limits=library.Limits(max_connections=1000, max_keepalive_connections=100))
    return library.Client(transport=Transport(inner, **(resume or {})), **_options(library, options))


def async_http_client(library=None, *, transport=None, resume=None, **options):
    """The same for ``AsyncOpenAI``."""
    library = library or _libraries[0]
    inner = transport or library.AsyncHTTPTransport(limits=library.Limits(max_connections=1000, max_keepalive_connections=100))
    return library.AsyncClient(transport=AsyncTransport(inner, **(resume or {})), **_options(library, options))


def _options(library, options):
    return {"timeout": library.Timeout(600, connect=5), "follow_redirects": True, **options}


# An error event has the error first and nothing else; only such a one is worth parsing.
_ERROR = re.compile(rb'\{\s*"error"')


def _error_code(event):
    """The code of an error event; None where it has none, or is no JSON."""
    lines = (line[5:] for line in event.splitlines() if line.startswith(b"data:"))
    try:
        error = json.loads(b"\n".join(lines))["error"]
    except (ValueError, RecursionError):
        return None
    return error.get("code") if isinstance(error, dict) else None


class _Events:
    """Lets whole events through and counts them; what a cut leaves of one is thrown away, for it comes again."""

    def __init__(self):
        self.count, self.is_done, self.has_failed = 0, False, False
        self.discard()

    def discard(self):
        # The hub has said that it stops: that event is held back, and what follows it is left out.
        self.is_stopped = False
        self._line, self._block, self._first = [], [], None

    def pass_on(self):
        """The event that is held back, if any."""
        if not self.is_stopped or self.has_failed:
            return b""
        self.has_failed = True
        return b"".join(self._block)

    def feed(self, part):
        whole = []
        start = 0
        while not self.is_stopped and (end := part.find(b"\n", start) + 1) > 0:
            self._line.append(part[start:end])
            self._add(b"".join(self._line), whole)
            self._line, start = [], end
        if start < len(part) and not self.is_stopped:
            self._line.append(part[start:])
        return b"".join(whole)

    def _add(self, line, whole):
        text = line.rstrip(b"\r\n")
        if text.startswith(b":") and not self._block:
            whole.append(line)
            return
        self._block.append(line)
        if text.startswith(b"data:") and self._first is None:
            self._first = text[5:].lstrip()
        if text:
            return
        is_error = self._first is not None and _ERROR.match(self._first) is not None
        if is_error and not self.is_done and _error_code(b"".join(self._block)) == "server_shutdown":
            self.is_stopped = True
            return
        whole.extend(self._block)
        if self._first == b"[DONE]":
            self.is_done = True
        elif is_error:
            self.has_failed = True
        elif self._first is not None:
            self.count += 1
        self._block, self._first = [], None


class _Exchange:
    """One request of the application and the requests that are made for it."""

    def __init__(self, resumption, request, body):
        self._resumption, self._request, self._body = resumption, request, body
        self.key = request.headers.get("idempotency-key")
        self.is_own = self.key is None
        self.key = self.key or resumption.take(self) or str(uuid.uuid4())
        # A close means no when nothing else was said; a key of the application's is for the application to end.
        self._cancels = self.is_own and "sluice-on-disconnect" not in request.headers
        self._timeout = dict(request.extensions.get("timeout") or {})
        self.events, self.id, self.is_over = _Events(), None, False
        self.progress()

    @property
    def origin(self):
        return (self._request.url.scheme, self._request.url.host, self._request.url.port)

    @property
    def identity(self):
        return (str(self._request.url), hashlib.sha256(self._body).digest())

    def request(self):
        headers = self._request.headers.copy()
        headers["Idempotency-Key"] = self.key
        if self.id:
            headers["Last-Event-ID"] = f"{self.id}:{self.events.count}"
        headers.pop("transfer-encoding", None)
        headers["Content-Length"] = str(len(self._body))
        extensions = {**self._request.extensions, "timeout": self._timeout}
        return type(self._request)("POST", self._request.url, headers=headers, content=self._body, extensions=extensions)

    def cancellation(self):
        """The request that ends the work, or None where it is not to end, or not there."""
        if not self._cancels or self.is_over or self.origin not in self._resumption.known:
            return None
        self.is_over = True
        headers = {name: value for name, value in self._request.headers.items() if not name.startswith(("content-", "transfer-"))}
        headers["Idempotency-Key"] = self.key
        url = self._request.url.copy_with(path=self._request.url.path[: -len(_PATH)] + "/cancel", query=None)
        return type(self._request)("POST", url, headers=headers, extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), _CANCEL_SECONDS)})

    def is_foreign(self, response):
        """Whether nothing may be done with it: it is not of a Sluice, or no longer as a Sluice sent it."""
        if "sluice-stream-id" not in response.headers:
            return True
        self._resumption.known.add(self.origin)
        return "content-encoding" in response.headers

    def is_stream(self, response):
        """Whether it is a stream, to be gone on with; then silence is bounded from here on."""
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            return False
        self.id = response.headers["sluice-stream-id"]
        silence = self._resumption.silence
        self._timeout["read"] = min(self._timeout.get("read") or silence, silence)
        return True

    def progress(self):
        self._attempts, self._since, self._retry_after = 0, time.monotonic(), 0

    def pause(self):
        """Seconds until the next attempt; None when there is to be none."""
        resumption = self._resumption
        pause = max(self._retry_after, min(_PAUSE_MAX, resumption.pause * 2**self._attempts) * random.uniform(0.5, 1))
        self._attempts, self._retry_after = self._attempts + 1, 0
        return None if self._attempts > resumption.attempts or time.monotonic() - self._since + pause > resumption.seconds else pause

    def feed(self, part):
        count = self.events.count
        whole = self.events.feed(part)
        if self.events.count > count:
            self.progress()
        self.is_over = self.events.is_done or self.events.has_failed
        return whole

    def ended(self, error):
        """The body has ended: true for a proper end; raises what ends it; false for a drop."""
        if error and self.events.has_failed:
            raise error
        return self.is_over

    def dropped(self, error):
        library = sys.modules[type(self._request).__module__.partition(".")[0]]
        return error or library.RemoteProtocolError("The stream ended without [DONE].", request=self._request)

    def give_up(self):
        """What is still to be passed on, before the error."""
        self.is_over = True
        return self.events.pass_on()

    def goes_on(self, response):
        """True when it is the rest of the same stream, None when it may be had later, False when never."""
        headers = response.headers
        if response.status_code == 200:
            is_rest = headers.get("sluice-stream-id") == self.id and headers.get("sluice-stream-attempt") in ("joined", "resumed", "replayed", "adopted")
            if is_rest:
                self.events.discard()
            return is_rest
        if response.status_code not in (429, 500, 502, 503, 504) or headers.get("x-should-retry") == "false":
            return False
        self._retry_after = _seconds(headers.get("retry-after", ""))
        return None


def _seconds(retry_after):
    try:
        return max(0, float(retry_after))
    except ValueError:
        date = email.utils.parsedate_to_datetime(retry_after) if retry_after.endswith("GMT") else None
        return max(0, date.timestamp() - time.time()) if date else 0


class _Resumption:
    """Bounds, and what is known beyond one request.

    ``attempts`` and ``seconds`` bound what is tried without a further event, ``pause`` is the first wait in seconds, which doubles up to 5 s, and
    ``silence`` the seconds after which a stream without a byte counts as dropped: a hub sends something every 15 s.
    """

    def __init__(self, attempts=12, seconds=60, pause=0.1, silence=40):
        self.attempts, self.seconds, self.pause, self.silence = attempts, seconds, pause, silence
        self.known = set()
        self._unanswered = {}

    def take(self, exchange):
        """The key of an equal request that got no answer: this is its automatic retry, and nobody has seen the answer."""
        key, until = self._unanswered.pop(exchange.identity, (None, 0))
        return key if time.monotonic() < until else None

    def keep(self, exchange):
        if exchange.is_own:
            if len(self._unanswered) >= 1000:
                self._unanswered.clear()
            self._unanswered[exchange.identity] = (exchange.key, time.monotonic() + _KEY_SECONDS)

    def pause_unanswered(self, exchange, error):
        """Seconds until a request is sent again that got no answer; raises where that is for the application to decide."""
        pause = None
        if exchange.origin in self.known and not isinstance(error, _TIMEOUTS + _NEVER_SENT):
            pause = exchange.pause()
        if pause is None:
            self.keep(exchange)
            raise error
        return pause


def _is_chat(request):
    return request.method == "POST" and request.url.path.endswith(_PATH)


class _Stream(*(library.SyncByteStream for library in _libraries)):
    def __init__(self, inner, exchange, response):
        self._inner, self._exchange, self._response = inner, exchange, response

    def __iter__(self):
        while True:
            error = None
            try:
                for part in self._response.stream:
                    if whole := self._exchange.feed(part):
                        yield whole
            except _TRANSPORT_ERRORS as raised:
                error = raised
            if self._exchange.ended(error):
                return
            if not self._resume():
                if held := self._exchange.give_up():
                    yield held
                raise self._exchange.dropped(error)

    def _resume(self):
        self._response.close()
        while (pause := self._exchange.pause()) is not None:
            time.sleep(pause)
            try:
                response = self._inner.handle_request(self._exchange.request())
            except _TRANSPORT_ERRORS:
                continue
            if goes_on := self._exchange.goes_on(response):
                self._response = response
                return True
            response.close()
            if goes_on is False:
                break
        return False

    def close(self):
        self._response.close()
        _cancel(self._inner, self._exchange)


def _cancel(inner, exchange):
    if request := exchange.cancellation():
        try:
            inner.handle_request(request).close()
        except _TRANSPORT_ERRORS:
            pass


class Transport(*(library.BaseTransport for library in _libraries)):
    """For ``httpx2.Client`` and ``httpx.Client``, around the transport that sends the requests; ``bounds`` are those of ``_Resumption``."""

    def __init__(self, inner, **bounds):
        self._inner, self._resumption = inner, _Resumption(**bounds)

    def handle_request(self, request):
        if not _is_chat(request):
            return self._inner.handle_request(request)
        exchange = _Exchange(self._resumption, request, request.read())
        pause = 0
        while True:
            try:
                if pause:
                    time.sleep(pause)
                response = self._inner.handle_request(exchange.request())
                if exchange.is_foreign(response):
                    return response
                if exchange.is_stream(response):
                    stream = _Stream(self._inner, exchange, response)
                    return type(response)(response.status_code, headers=response.headers, stream=stream, extensions=response.extensions)
                return _buffered(response, b"".join(response.stream))
            except _TRANSPORT_ERRORS as error:
                pause = self._resumption.pause_unanswered(exchange, error)
            except BaseException:
                _cancel(self._inner, exchange)
                raise

    def close(self):
        self._inner.close()


def _buffered(response, body):
    response.stream = sys.modules[type(response).__module__.partition(".")[0]].ByteStream(body)
    return response


class _AsyncStream(*(library.AsyncByteStream for library in _libraries)):
    def __init__(self, inner, exchange, response):
        self._inner, self._exchange, self._response = inner, exchange, response

    async def __aiter__(self):
        while True:
            error = None
            try:
                async for part in self._response.stream:
                    if whole := self._exchange.feed(part):
                        yield whole
            except _TRANSPORT_ERRORS as raised:
                error = raised
            if self._exchange.ended(error):
                return
            if not await self._resume():
                if held := self._exchange.give_up():
                    yield held
                raise self._exchange.dropped(error)

    async def _resume(self):
        await self._response.aclose()
        while (pause := self._exchange.pause()) is not None:
            await anyio.sleep(pause)
            try:
                response = await self._inner.handle_async_request(self._exchange.request())
            except _TRANSPORT_ERRORS:
                continue
            if goes_on := self._exchange.goes_on(response):
                self._response = response
                return True
            await response.aclose()
            if goes_on is False:
                break
        return False

    async def aclose(self):
        await self._response.aclose()
        await _cancel_async(self._inner, self._exchange)


async def _cancel_async(inner, exchange):
    if request := exchange.cancellation():
        try:
            with anyio.move_on_after(_CANCEL_SECONDS, shield=True):
                await (await inner.handle_async_request(request)).aclose()
        except _TRANSPORT_ERRORS:
            pass


class AsyncTransport(*(library.AsyncBaseTransport for library in _libraries)):
    """For ``httpx2.AsyncClient`` and ``httpx.AsyncClient``."""

    def __init__(self, inner, **bounds):
        self._inner, self._resumption = inner, _Resumption(**bounds)

    async def handle_async_request(self, request):
        if not _is_chat(request):
            return await self._inner.handle_async_request(request)
        exchange = _Exchange(self._resumption, request, await request.aread())
        pause = 0
        while True:
            try:
                if pause:
                    await anyio.sleep(pause)
                response = await self._inner.handle_async_request(exchange.request())
                if exchange.is_foreign(response):
                    return response
                if exchange.is_stream(response):
                    stream = _AsyncStream(self._inner, exchange, response)
                    return type(response)(response.status_code, headers=response.headers, stream=stream, extensions=response.extensions)
                return _buffered(response, b"".join([part async for part in response.stream]))
            except _TRANSPORT_ERRORS as error:
                pause = self._resumption.pause_unanswered(exchange, error)
            except BaseException:
                await _cancel_async(self._inner, exchange)
                raise

    async def aclose(self):
        await self._inner.aclose()
