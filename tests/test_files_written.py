"""Files are written whole, and what a killed run leaves behind is removed by the next."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from interpret_segmentation import _files
from interpret_segmentation._files import check_ordinary, write_whole

WRITES = """
import sys, time
from pathlib import Path
from interpret_segmentation._files import write_whole
with write_whole(Path(sys.argv[1])) as unfinished:
    if sys.argv[2] == "folder":
        unfinished.mkdir()
        unfinished = unfinished / "part"
    unfinished.write_text("half")
    print("begun", flush=True)
    time.sleep(600)
"""


def begun(path, kind="file"):
    """A process that has begun to write a file, or a folder."""
    process = subprocess.Popen([sys.executable, "-c", WRITES, path, kind], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    return process


def written(path, text="new"):
    with write_whole(path) as unfinished:
        unfinished.write_text(text)


def killed(process):
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("name", ["map.bin", "a [1]*.bin", "x" * 240])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_killed_run_left_is_removed_by_the_next_that_writes_the_same(tmp_path, kind, name):
    path = tmp_path / name
    killed(begun(path, kind))
    assert len(list(tmp_path.iterdir())) == 1
    written(tmp_path / "other.bin")
    assert len(list(tmp_path.iterdir())) == 2
    written(path)
    assert sorted(tmp_path.iterdir()) == sorted([path, tmp_path / "other.bin"])
    assert path.read_text() == "new"


def test_what_a_process_writes_now_stays(tmp_path):
    path = tmp_path / "map.bin"
    process = begun(path)
    (unfinished,) = tmp_path.iterdir()
    try:
        written(path)
        assert sorted(tmp_path.iterdir()) == sorted([unfinished, path])
        with write_whole(path) as own:
            own.write_text("first")
            written(path, "second")
            assert own.exists()
        assert path.read_text() == "first"
    finally:
        killed(process)


def test_on_another_machine_it_stays_until_it_is_old(tmp_path, monkeypatch):
    path = tmp_path / "map.bin"
    killed(begun(path))
    (unfinished,) = tmp_path.iterdir()
    monkeypatch.setattr(_files, "_machine", lambda: "0123abcd")
    written(path)
    assert unfinished.exists()
    long_ago = time.time() - 2 * _files.LONG_AGO
    os.utime(unfinished, (long_ago, long_ago))
    written(path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_as_old_as_the_youngest_file_in_it(tmp_path, monkeypatch):
    path = tmp_path / "set"
    killed(begun(path, "folder"))
    (unfinished,) = tmp_path.iterdir()
    monkeypatch.setattr(_files, "_machine", lambda: "0123abcd")
    long_ago = time.time() - 2 * _files.LONG_AGO
    os.utime(unfinished, (long_ago, long_ago))
    written(path)
    assert unfinished.exists()


@pytest.mark.parametrize("name", [
    ".map.bin.part",
    ".map.bin.0123abcd-1.part",
    ".map.bin.0123abcd-1-0123abcd.part.txt",
    ".map.bin.notes.part",
    "map.bin.0123abcd.part",
    ".map.bin2.0123abcd.part",
    ".other.map.bin.0123abcd.part",
])  # fmt: skip
def test_files_of_somebody_else_stay_however_old(tmp_path, name):
    other = tmp_path / name
    other.write_text("mine")
    os.utime(other, (0, 0))
    written(tmp_path / "map.bin")
    assert other.read_text() == "mine"


def test_what_earlier_versions_left_is_removed_once_it_is_old(tmp_path):
    old = tmp_path / ".map.bin.0123abcd.part"
    old.write_text("half")
    written(tmp_path / "map.bin")
    assert old.exists()
    os.utime(old, (0, 0))
    written(tmp_path / "map.bin")
    assert not old.exists()


def test_only_a_link_is_removed_and_never_what_it_leads_to(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    os.utime(kept / "file", (0, 0))
    os.utime(kept, (0, 0))
    link = tmp_path / ".map.bin.0123abcd.part"
    link.symlink_to(kept, target_is_directory=True)
    os.utime(link, (0, 0), follow_symlinks=False)
    written(tmp_path / "map.bin")
    assert (kept / "file").exists()
    assert not link.is_symlink()


def test_processes_are_known_to_run_or_not():
    process = subprocess.Popen([sys.executable, "-c", ""])
    assert _files._is_running(process.pid)
    process.wait()
    assert not _files._is_running(process.pid)
    assert _files._is_running(os.getpid())
    assert _files._is_running(1)
    assert _files._is_running(2**31)  # no such number: nothing is told, so nothing is removed


def test_a_pipe_a_socket_and_a_device_are_refused_and_files_and_folders_are_not(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "socket"))
    server.close()
    for name, kind in (("pipe", "pipe"), ("link", "pipe"), ("socket", "socket"), ("/dev/zero", "device")):
        with pytest.raises(ValueError, match=rf"is a {kind}, not a file; write its content to a file"):
            check_ordinary(tmp_path / name)
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path, tmp_path / "nothing", Path("a\0b")):
        check_ordinary(path)
