"""Serves the report's page on this computer, and answers clicks with exact maps.

It listens on the loopback address only, hands out nothing but the results that it was started with, by
number, and refuses what a page of somebody else could send: foreign Host and Origin headers, methods other
than GET, bodies, long addresses.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from interpret_segmentation.show.reports.content import Entry, image, image_step
from interpret_segmentation.show.reports.document import POLICY, filled
from interpret_segmentation.show.reports.packing import coarser
from interpret_segmentation.show.results import Saved

HOST = "127.0.0.1"
BOX = ("depth", "row", "column", "last_row", "last_column")
REMEMBERED = 4
"""Images whose results stay in memory."""

LONGEST = 2048
"""Characters of an address; ours are far shorter."""

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
    """

    images: Sequence[Saved]
    title: str

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
        return json.dumps(image(entries, error=0), allow_nan=False).encode("utf-8")

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
        try:
            return self._read(number)
        except (OSError, ValueError) as error:
            raise RefusedRequestError(HTTPStatus.INTERNAL_SERVER_ERROR, str(error)) from error

    @cached_property
    def _read(self) -> Callable[[int], Sequence[Entry]]:
        return lru_cache(maxsize=REMEMBERED)(lambda number: self.images[number].entries())


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
        super().__init__((HOST, port), _Handler)

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
        with self.server.working:  # torch uses all cores for one answer
            if kind == "image" and len(numbers) == 1:
                return "application/json", content.image(int(numbers[0]))
            if kind == "map" and len(numbers) == 2:
                return "application/octet-stream", content.map(
                    int(numbers[0]), int(numbers[1]), _box(parts.query)
                )
        raise RefusedRequestError(HTTPStatus.NOT_FOUND, "there is no such page")

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
