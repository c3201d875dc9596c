"""Networks and truths that do not come with the package: copied, fetched and checked."""

import hashlib
import http.server
import json
import shutil
import threading
from functools import partial

import pytest

from interpret_segmentation.testnet import NETWORKS, VARIANTS, download_data, more, networks_of, pretrained

FILES = ("networks/a.safetensors", "truth/a.jsonl")


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A checkout with two files, which the manifest knows."""
    checkout = tmp_path / "checkout"
    manifest = {}
    for number, name in enumerate(FILES):
        (checkout / name).parent.mkdir(parents=True)
        (checkout / name).write_bytes(b"content %d" % number)
        digest = hashlib.sha256((checkout / name).read_bytes()).hexdigest()
        manifest[name] = {"bytes": 9, "sha256": digest}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setattr(more, "MANIFEST", tmp_path / "manifest.json")
    monkeypatch.setattr(more, "CHECKOUT", checkout)
    monkeypatch.setenv("INTERPRET_SEGMENTATION_DATA", str(tmp_path / "data"))
    return checkout


def test_the_manifest_is_that_of_the_files_in_the_checkout():
    manifest = json.loads(more.MANIFEST.read_text())
    found = {
        path.relative_to(more.CHECKOUT).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in more.CHECKOUT.rglob("*")
        if path.suffix in (".safetensors", ".jsonl")
    }
    assert manifest == found, "python -m benchmarks.testnet_manifest writes it anew"
    assert sum(one["bytes"] for one in manifest.values()) < 25e6


def test_every_network_is_shipped_or_in_the_manifest():
    manifest = json.loads(more.MANIFEST.read_text())
    for name, network in NETWORKS.items():
        assert network.shipped != (f"networks/{name}.safetensors" in manifest)
    assert [networks_of(variant)[0] for variant in VARIANTS] == [
        "plain", "moved", "textured", "distractors", "shortcut", "required", "required", "photo", "photo",
    ]  # fmt: skip
    assert min(len(networks_of(variant)) for variant in ("moved", "required")) == 3
    assert len(networks_of("photo")) >= 2


def test_files_are_copied_from_a_checkout_and_right_ones_are_left_alone(source, tmp_path):
    folder = download_data(progress=False)
    assert folder == tmp_path / "data"
    before = (folder / FILES[0]).stat().st_mtime_ns
    (folder / FILES[1]).write_text("spoilt")
    assert download_data(progress=False) == folder
    assert (folder / FILES[0]).stat().st_mtime_ns == before
    assert (folder / FILES[1]).read_bytes() == (source / FILES[1]).read_bytes()
    shutil.rmtree(source)
    assert more.find_data(FILES[0]) == folder / FILES[0]


def test_a_file_that_is_not_the_right_one_is_refused_and_not_kept(source, tmp_path):
    (source / FILES[1]).write_text("another")
    with pytest.raises(ValueError, match=r"truth.a\.jsonl is not the file that this version knows"):
        download_data(progress=False)
    assert not (tmp_path / "data" / FILES[1]).exists()


def test_files_are_fetched_where_there_is_no_checkout(source, tmp_path, monkeypatch):
    release = tmp_path / "release"
    release.mkdir()
    for name in FILES:
        shutil.copy(source / name, release / name.replace("/", "-"))
    shutil.rmtree(source)
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(release))
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        folder = download_data(source=address, progress=False)
        assert (folder / FILES[0]).read_bytes() == b"content 0"
        (release / "truth-a.jsonl").unlink()
        (folder / FILES[1]).unlink()
        with pytest.raises(
            ConnectionError, match=r"truth-a\.jsonl cannot be fetched .*pass source= with a folder"
        ):
            download_data(source=address, progress=False)
        server.shutdown()
    assert not (folder / FILES[1]).exists()


def test_without_a_checkout_and_a_release_the_error_says_what_to_do(source, monkeypatch):
    shutil.rmtree(source)
    monkeypatch.setattr(more, "RELEASE", "http://127.0.0.1:9/nothing")
    with pytest.raises(ConnectionError, match="run this in a checkout of the repository"):
        download_data(progress=False)
    with pytest.raises(
        FileNotFoundError, match=r"there is no networks.required\.safetensors in .*download_data"
    ):
        pretrained("required")
    with pytest.raises(FileNotFoundError, match="there is no"):
        download_data(source=str(source), progress=False)
