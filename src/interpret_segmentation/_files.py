"""Files and folders are written whole or not at all, and only ordinary files are read."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import re
import shutil
import stat
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

LONGEST = 180
"""Bytes of a name beyond which a temporary one has its hash; file systems take 255."""

LONG_AGO = 24 * 60 * 60
"""Seconds without a change after which nobody writes an unfinished file any more, wherever it was begun."""


@contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Hand out a temporary name beside ``path``; rename it to ``path`` when the block ends well.

    When the block raises, what was written is removed and ``path`` stays as it was. What a killed run has
    left of the same ``path`` is removed first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    unfinished = path.with_name(f"{_begun(path)}{_machine()}-{os.getpid():x}-{uuid.uuid4().hex[:8]}.part")
    try:
        yield unfinished
        unfinished.replace(path)
    except BaseException:
        _remove(unfinished)
        raise


def check_ordinary(path: Path) -> None:
    """See that reading from a path does not wait for somebody to write, as a pipe does, or never ends.

    Raises:
        ValueError: It is a pipe, a socket or a device.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # what is not there is told by whoever opens it
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        kind = "pipe" if stat.S_ISFIFO(mode) else "socket" if stat.S_ISSOCK(mode) else "device"
        raise ValueError(f"{path} is a {kind}, not a file; write its content to a file, and give that")


def _begun(path: Path) -> str:
    """What the names of all unfinished files of a path begin with."""
    name = path.name
    if len(os.fsencode(name)) > LONGEST:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return f".{name}."


def _remove_abandoned(path: Path) -> None:
    """Remove unfinished files of this path that no process writes any more."""
    begun = _begun(path)
    with suppress(OSError):  # a folder that may be written to, but not listed
        for name in os.listdir(path.parent):  # noqa: PTH208  there may be very many
            if name.startswith(begun) and _is_abandoned(path.with_name(name), name[len(begun) :]):
                _remove(path.with_name(name))


def _is_abandoned(unfinished: Path, rest: str) -> bool:
    """Whether nobody writes an unfinished file any more, as far as its name and its age tell."""
    found = re.fullmatch(r"(?:([0-9a-f]{8})-([0-9a-f]{1,8})-)?[0-9a-f]{8}\.part", rest)
    if found is None:
        return False
    machine, process = found.groups()
    if machine == _machine():
        return not _is_running(int(process, 16))
    places = [unfinished, *(unfinished.rglob("*") if unfinished.is_dir() else ())]
    youngest: float = max(place.lstat().st_mtime for place in places)
    return time.time() - youngest > LONG_AGO


def _remove(unfinished: Path) -> None:
    if unfinished.is_dir() and not unfinished.is_symlink():
        shutil.rmtree(unfinished, ignore_errors=True)
        return
    with suppress(OSError):  # of somebody else, or held open on Windows
        unfinished.unlink(missing_ok=True)


@cache
def _machine() -> str:
    """Where numbers of processes mean the same: this machine, or on Linux this container, in eight digits."""
    try:
        processes = os.readlink("/proc/self/ns/pid")  # noqa: PTH115  no path, but a number
    except OSError:
        processes = ""
    return hashlib.sha256(f"{platform.node()} {processes}".encode()).hexdigest()[:8]


def _is_running(process: int) -> bool:
    """Whether there is a process of this number; True where that cannot be told."""
    if sys.platform == "win32":  # where os.kill ends what it asks about
        system = ctypes.WinDLL("kernel32", use_last_error=True)
        handle = system.OpenProcess(0x1000, False, process)  # may ask whether it has ended
        if not handle:
            return ctypes.get_last_error() != 87  # there is none of this number
        code = ctypes.c_ulong()
        told = system.GetExitCodeProcess(handle, ctypes.byref(code))
        system.CloseHandle(handle)
        return not told or code.value == 259  # it has not ended
    try:
        os.kill(process, 0)  # asks only
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # of another user
        return True
    return True
