"""Serves the report's page on this computer, and answers clicks with exact maps.

It listens on the loopback address only, hands out nothing but the results that it was started with, by
number, and refuses what a page of somebody else could send: foreign Host and Origin headers, methods other
than GET, bodies, long addresses.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore, Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from interpret_segmentation.show.reports.content import Entry, image, image_step, those_that_work
from interpret_segmentation.show.reports.document import POLICY, filled
from interpret_segmentation.show.reports.packing import coarser
from interpret_segmentation.show.results import Saved

HOST = "127.0.0.1"
BOX = ("depth", "row", "column", "last_row", "last_column")
REMEMBERED = 4
"""Images whose results stay in memory."""

CONNECTIONS = 32
"""At one time; a browser opens six."""

LONGEST = 2048
"""Characters of an address; ours are far shorter."""

BUSY = b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"

HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class RefusedRequestError(Exception):
    """A request that is not answered.

    Attributes:
        status: What is said instead.
    """

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Content:
    """What a viewer shows; results are read when they are looked at.

    Attributes:
        images: The results of each image.
        title: Of the page.
        failed: What cannot be read or shown, and why; it grows while results are looked at.
    """

    images: Sequence[Saved]
    title: str
    failed: list[str] = field(default_factory=list)

    @cached_property
    def page(self) -> bytes:
        """The page, without any result in it."""
        known = [{"name": saved.name, "address": f"/image/{at}"} for at, saved in enumerate(self.images)]
        policy = POLICY.replace("default-src 'none'", "default-src 'none'; connect-src 'self'")
        return filled({"images": known}, title=self.title, policy=policy).encode("utf-8")

    def image(self, number: int) -> bytes:
        """One image with its explanations, as JSON."""
        entries = [
            replace(entry, address=f"/map/{number}/{place}")
            for place, entry in enumerate(self.entries(number))
        ]
        try:
            shown = image(entries, error=0)
        except Exception as error:
            good = those_that_work(entries, self.failed, error=0)
            if not good:
                raise RefusedRequestError(HTTPStatus.INTERNAL_SERVER_ERROR, str(error)) from error
            shown = image(good, error=0)
        return json.dumps(shown, allow_nan=False).encode("utf-8")

    def map(self, number: int, place: int, box: dict[str, int]) -> bytes:
        """The exact map of the explained pixels in a box, float32 in reading order.

        Raises:
            RefusedRequestError: There is no such map, or no pixel of the box was explained.
        """
        entries = self.entries(number)
        explanation = entries[place].explanation if place < len(entries) else None
        if explanation is None or not explanation.maps_pixels or explanation.pixels is None:
            raise RefusedRequestError(HTTPStatus.NOT_FOUND, "there is no map for each pixel")
        space = explanation.saliency.shape
        step = image_step(space)
        ranges = [("row", "last_row"), ("column", "last_column")]
        region = np.zeros(space, dtype=bool)
        where = [slice(box[first] * step, (box[last] + 1) * step) for first, last in ranges]
        depth = [slice(box["depth"] * step, (box["depth"] + 1) * step)] if len(space) == 3 else []
        region[tuple(depth + where)] = True
        if not (region & explanation.pixels).any():
            raise RefusedRequestError(HTTPStatus.NOT_FOUND, "no explained pixel lies there")
        exact = coarser(explanation.of_pixels(region), step, len(space))
        return np.asarray(exact, dtype="<f4").tobytes()

    def entries(self, number: int) -> Sequence[Entry]:
        """The explanations of an image.

        Raises:
            RefusedRequestError: There is no such image, or its files cannot be read any more.
        """
        if number >= len(self.images):
            raise RefusedRequestError(HTTPStatus.NOT_FOUND, "there is no such image")
        failed: list[str] = []
        entries = self._read(number) or self.images[number].entries(failed)
        if not entries:
            raise RefusedRequestError(HTTPStatus.INTERNAL_SERVER_ERROR, "; ".join(failed))
        return entries

    @cached_property
    def _read(self) -> Callable[[int], Sequence[Entry]]:
        return lru_cache(maxsize=REMEMBERED)(lambda number: self.images[number].entries(self.failed))


class AtTheSameTime:
    """Does work once for all who ask for it while it is done."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._begun: dict[Hashable, Future[bytes]] = {}

    def __call__(self, key: Hashable, work: Callable[[], bytes]) -> bytes:
        """What the work gives, or the error that it ends with.

        Args:
            key: The same for the same work.
            work: It may wait for others, but not for work of the same key.
        """
        with self._lock:
            begun = self._begun.get(key)
            own = Future[bytes]()
            if begun is None:
                self._begun[key] = own
        if begun is not None:
            return begun.result()
        try:
            own.set_result(work())
        except BaseException as error:
            own.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._begun[key]
        return own.result()


class Viewer(ThreadingHTTPServer):
    """The server; ``with Viewer(content) as viewer: viewer.serve_forever()``.

    Args:
        content: What it shows.
        port: Where it listens; 0 for any that is free.
    """

    daemon_threads = True

    def __init__(self, content: Content, port: int = 0) -> None:
        self.content = content
        self.working = Lock()
        self.shared = AtTheSameTime()
        self._free = BoundedSemaphore(CONNECTIONS)
        super().__init__((HOST, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, as long as there are not too many."""
        if self._free.acquire(blocking=False):
            try:
                super().process_request(request, client_address)
            except BaseException:  # no thread could be begun, that would make room again
                self._free.release()
                raise
            return
        with suppress(OSError):
            request.settimeout(0)
            request.send(BUSY)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Make room for the next when done, also by an error."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing, when a browser has lost interest."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    @property
    def address(self) -> str:
        """What the browser opens."""
        return f"http://{HOST}:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: Viewer
    server_version = "interpret-segmentation"
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:
        try:
            self._check()
            kind, body = self._answer()
        except RefusedRequestError as refused:
            self._say(refused.status, "text/plain; charset=utf-8", str(refused).encode("utf-8"))
            return
        self._say(HTTPStatus.OK, kind, body)

    def _check(self) -> None:
        own = {f"{name}:{self.server.server_port}" for name in (HOST, "localhost")}
        if self.headers.get("Host") not in own:
            raise RefusedRequestError(HTTPStatus.FORBIDDEN, "this server answers for this computer only")
        origin = self.headers.get("Origin")
        if origin is not None and origin.removeprefix("http://") not in own:
            raise RefusedRequestError(HTTPStatus.FORBIDDEN, "this server answers its own page only")
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            raise RefusedRequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "requests have no body")
        if len(self.path) > LONGEST:
            raise RefusedRequestError(HTTPStatus.REQUEST_URI_TOO_LONG, "the address is too long")

    def _answer(self) -> tuple[str, bytes]:
        content, parts = self.server.content, urlsplit(self.path)
        if parts.path == "/":
            return "text/html; charset=utf-8", content.page
        kind, *numbers = parts.path.removeprefix("/").split("/")
        if not all(number.isdecimal() and number.isascii() and len(number) < 9 for number in numbers):
            raise RefusedRequestError(HTTPStatus.NOT_FOUND, "there is no such page")
        at = tuple(map(int, numbers))
        if kind == "image" and len(at) == 1:
            return "application/json", self._once(at, lambda: content.image(*at))
        if kind == "map" and len(at) == 2:
            box = _box(parts.query)
            key = (*at, *box.items())
            return "application/octet-stream", self._once(key, lambda: content.map(*at, box))
        raise RefusedRequestError(HTTPStatus.NOT_FOUND, "there is no such page")

    def _once(self, key: Hashable, work: Callable[[], bytes]) -> bytes:
        """One piece of work after the other, for torch uses all cores for one; and each but once."""

        def alone() -> bytes:
            with self.server.working:
                return work()

        return self.server.shared(key, alone)

    def _say(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name of the base class
        """Nothing: a page that is looked at is no news."""


def _box(query: str) -> dict[str, int]:
    try:
        given = parse_qs(query, max_num_fields=len(BOX))
    except ValueError:
        given = {}
    numbers = {name: values[0] for name, values in given.items() if len(values) == 1}
    if set(numbers) != set(BOX) or not all(
        number.isdecimal() and number.isascii() and len(number) < 9 for number in numbers.values()
    ):
        raise RefusedRequestError(HTTPStatus.BAD_REQUEST, f"wanted {', '.join(BOX)}, each a whole number")
    return {name: int(number) for name, number in numbers.items()}
