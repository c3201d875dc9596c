"""Before long work, once: how long it will take, and what would take less."""

from __future__ import annotations

import time
from collections.abc import Callable

from interpret_segmentation._telling import tell

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
        self._said = False
        self.restart()

    def restart(self) -> None:
        """Begin to count anew: what came before was a trial."""
        self._began = self._now()
        self._warm: tuple[int, float] | None = None

    def after(self, done: int, *, trial: bool = False) -> None:
        """Say it, when so many images are done, if it is known now and was not said before.

        Args:
            done: Images since the beginning.
            trial: These were not the work itself, which may be quicker.
        """
        if self._said or not done or (done >= self._count and not trial):
            return
        each = self._seconds_each(done)
        left = self._count if trial else self._count - done
        if each * left < LONG:
            return
        self._said = True
        saving = "" if self._saving is None else self._saving()
        most = " at most" if trial else ""
        total = f"{self._count} forwards of {in_short(each)}: {in_words(each * self._count)}{most}"
        tell(f"{total}; {saving}" if saving else total)

    def _seconds_each(self, done: int) -> float:
        """Of one image; 0 as long as nobody can say."""
        now = self._now()
        if self._warm is None:
            self._warm = done, now
            return (now - self._began) / done if now - self._began >= FIRST else 0.0
        since, at = self._warm
        return (now - at) / (done - since) if now - at >= SETTLED else 0.0


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
