"""Before long work, once: how long it will take, and what would take less."""

from __future__ import annotations

import time
from collections.abc import Callable

LONG = 60.0
"""Seconds from which on work is long."""

SETTLED = 2.0
"""Seconds after which what a batch took is no longer the first one's warming up."""

FIRST = 10.0
"""Seconds of a first batch that need no second one to be believed."""


class Estimate:
    """Says once, from the first batches, how long all of them will take.

    Args:
        count: Images that are asked about.
        saving: Gives a cheaper setting in words, ``"offset=64 gives 25"``; empty where there is none.
        now: The time in seconds.
    """

    def __init__(
        self,
        count: int,
        saving: Callable[[], str] | None = None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._count, self._saving, self._now = count, saving, now
        self._began = now()
        self._warm: tuple[int, float] | None = None
        self._said = False

    def after(self, done: int) -> str:
        """The sentence, when so many images are done; empty before it is known, and when it was said."""
        if self._said or not done or done >= self._count:
            return ""
        now = self._now()
        if self._warm is None:
            self._warm = done, now
            if now - self._began < FIRST:
                return ""
            each = (now - self._began) / done
        elif now - self._warm[1] < SETTLED:
            return ""
        else:
            each = (now - self._warm[1]) / (done - self._warm[0])
        if each * (self._count - done) < LONG:
            return ""
        self._said = True
        saving = "" if self._saving is None else self._saving()
        total = f"{self._count} forwards of {in_short(each)}: {in_words(each * self._count)}"
        return f"{total}; {saving}" if saving else total


def in_short(seconds: float) -> str:
    """``"3.5 s"``, ``"85 ms"``."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.2g} ms"
    return f"{seconds:.2g} s" if seconds < 99.5 else f"{seconds:.0f} s"


def in_words(seconds: float) -> str:
    """``"about an hour"``, ``"about 12 minutes"``."""
    for unit, length, one in (("day", 86400, "a"), ("hour", 3600, "an"), ("minute", 60, "a")):
        number = seconds / length
        if number >= 1.75:
            return f"about {round(number)} {unit}s"
        if number >= 0.9:
            return f"about {one} {unit}" if number < 1.25 else f"about {one} {unit} and a half"
    return f"about {max(1, round(seconds))} second{'s' * (round(seconds) > 1)}"
