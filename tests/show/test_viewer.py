"""The viewer answers its own page, exactly, and nobody else."""

import http.client
import json
import socket
import threading

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from networks import brightness

from interpret_segmentation import explain
from interpret_segmentation.cli import main
from interpret_segmentation.show import viewer as viewers
from interpret_segmentation.show.results import find_results
from interpret_segmentation.show.viewer import Content, Viewer


def blob():
    image = torch.zeros(1, 20, 28)
    image[:, 4:12, 5:15] = 1
    return image


@pytest.fixture(scope="module")
def result():
    return explain(brightness, blob(), "rise", N=60, s=4, seed=0, progress=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, result):
    folder = tmp_path_factory.mktemp("results")
    result.save(folder / "cell.rise.safetensors")
    hidden = explain(brightness, blob(), "hdm", circle_size=5, offset=4, progress=False)
    hidden.save(folder / "cell.hdm.safetensors")
    hidden.save(folder / "other.hdm.safetensors")
    (folder / "secret.txt").write_text("secret")
    return folder


@pytest.fixture(scope="module")
def server(folder):
    with Viewer(Content(find_results([folder]), "results")) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server, path, method="GET", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body, headers=named)
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())
    finally:
        connection.close()


def box(row, column, last_row=None, last_column=None):
    last_row, last_column = last_row or row, last_column or column
    return f"depth=0&row={row}&column={column}&last_row={last_row}&last_column={last_column}"


def test_a_click_is_answered_with_the_exact_map(server, result):
    status, body, _ = ask(server, f"/map/0/1?{box(6, 9)}")
    assert status == 200
    np.testing.assert_array_equal(np.frombuffer(body, "<f4").reshape(20, 28), result.pixel(6, 9).numpy())


def test_a_box_is_answered_with_the_mean_map_of_its_explained_pixels(server, result):
    status, body, _ = ask(server, f"/map/0/1?{box(2, 9, 6, 11)}")
    region = np.zeros((20, 28))
    region[2:7, 9:12] = 1
    assert status == 200
    np.testing.assert_array_equal(np.frombuffer(body, "<f4").reshape(20, 28), result.region(region).numpy())


def test_the_page_lists_every_image_and_fetches_what_is_looked_at(server):
    status, body, headers = ask(server, "/")
    assert status == 200
    assert b"/image/1" in body
    assert b"connect-src &#x27;self&#x27;" in body
    assert headers["X-Content-Type-Options"] == "nosniff"
    shown = json.loads(ask(server, "/image/0")[1])
    assert [case["name"] for case in shown["cases"]] == ["HDM", "RISE"]
    assert shown["cases"][1]["live"] == "/map/0/1"
    assert "factors" not in shown["cases"][1]


@pytest.mark.parametrize("path", [
    "/secret.txt", "/../secret.txt", "/%2e%2e/secret.txt", "//etc/passwd", "/image/../secret.txt", "/image/7",
    "/image/-1", "/image/²", "/image/0/0", "/map/0", "/image/99999999999999999999", "/map/0/0?" + box(6, 9),
    "/map/0/9?" + box(6, 9), "/map/0/1?" + box(0, 0), "/map/0/1?" + box(600, 900),
])  # fmt: skip
def test_what_is_not_there_is_not_found(server, path):
    from urllib.parse import quote

    status, body, _ = ask(server, quote(path, safe="/?=&%"))
    assert status == 404
    assert b"secret" not in body


@pytest.mark.parametrize(
    "query", ["", "row=1", box(6, 9) + "&row=2", box(6, 9).replace("6", "x"), "a=1&" * 40]
)
def test_a_question_that_is_none_is_refused(server, query):
    assert ask(server, f"/map/0/1?{query}")[0] == 400


@pytest.mark.parametrize("headers", [
    {"Host": "evil.example"}, {"Host": "127.0.0.1"}, {"Host": "127.0.0.1:1"},
    {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "https://127.0.0.1"},
])  # fmt: skip
def test_pages_of_others_are_refused(server, headers):
    assert ask(server, "/", **headers)[0] == 403


def test_its_own_page_is_answered_under_both_names_of_this_computer(server):
    for name in ("127.0.0.1", "localhost"):
        own = f"{name}:{server.server_port}"
        assert ask(server, "/", Host=own, Origin=f"http://{own}")[0] == 200


def test_other_methods_bodies_and_long_addresses_are_refused(server):
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert ask(server, "/", method=method)[0] == 501
    assert ask(server, "/", body=b"x" * 10)[0] == 413
    assert ask(server, "/" + "x" * 5000)[0] == 414
    assert ask(server, "/" + "x" * 100_000)[0] == 414


def test_it_listens_on_this_computer_only(server):
    assert server.server_address[0] == "127.0.0.1"
    assert server.address.startswith("http://127.0.0.1:")


def test_half_a_request_holds_up_nobody(server):
    with socket.create_connection(("127.0.0.1", server.server_port)) as lazy:
        lazy.sendall(b"GET / HTTP/1.1\r\n")
        assert ask(server, "/")[0] == 200


def test_a_result_that_is_gone_is_said_to_be(tmp_path, result):
    file = result.save(tmp_path / "a.rise.safetensors")
    content = Content(find_results([tmp_path]), "results")
    file.unlink()
    with pytest.raises(viewers.RefusedRequestError, match="there is no file"):
        content.image(0)


def test_on_the_command_line_it_serves_until_it_is_interrupted(folder, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(Viewer, "serve_forever", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    outcome = CliRunner().invoke(main, ["view", str(folder)])
    assert outcome.exit_code == 0, outcome.output
    assert "2 images at http://127.0.0.1:" in outcome.output
    assert opened[0].startswith("http://127.0.0.1:")


def test_on_the_command_line_a_folder_without_results_is_one_clear_error(tmp_path):
    outcome = CliRunner().invoke(main, ["view", str(tmp_path)])
    assert outcome.exit_code == 2
    assert "has no results" in outcome.output


@pytest.mark.parametrize("command", [["view", "--no-browser"], ["report"]])
def test_on_the_command_line_a_file_that_is_no_result_is_one_clear_error(folder, command):
    outcome = CliRunner().invoke(main, [*command, str(folder / "secret.txt")])
    assert outcome.exit_code == 2
    assert "is not a safetensors file" in outcome.output


def test_a_damaged_file_in_a_folder_is_left_out_and_said(folder, tmp_path):
    whole = (folder / "cell.hdm.safetensors").read_bytes()
    (tmp_path / "whole.hdm.safetensors").write_bytes(whole)
    (tmp_path / "cut.hdm.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.warns(UserWarning, match=r"left out: .*cut\.hdm\.safetensors"):
        saved = find_results([tmp_path])
    assert [one.name for one in saved] == ["whole"]


def test_a_port_that_is_taken_is_named(folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        outcome = CliRunner().invoke(main, ["view", str(folder), "--no-browser", "--port", port])
    assert outcome.exit_code == 2
    assert f"port {port} cannot be had" in outcome.output


def test_a_report_is_written_on_the_command_line(folder, tmp_path):
    out = tmp_path / "report.html"
    outcome = CliRunner().invoke(main, ["report", str(folder), "--out", str(out)])
    assert outcome.exit_code == 0, outcome.output
    assert f"see {out}" in outcome.output
    again = CliRunner().invoke(main, ["report", str(folder), "--out", str(out)])
    assert again.exit_code == 2
    assert "pass --overwrite" in again.output
    assert CliRunner().invoke(main, ["report", str(folder), "--out", str(out), "--overwrite"]).exit_code == 0


def test_more_connections_than_are_allowed_are_told_to_come_again(folder, monkeypatch):
    monkeypatch.setattr(viewers, "CONNECTIONS", 3)
    with Viewer(Content(find_results([folder]), "results")) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            idle = [socket.create_connection(("127.0.0.1", server.server_port)) for _ in range(3)]
            while server._free._value:  # until the server has seen them
                thread.join(0.01)
            status, _, headers = ask(server, "/")
            assert (status, headers["Retry-After"]) == (503, "1")
            for connection in idle:
                connection.close()
            while server._free._value < 3:
                thread.join(0.01)
            assert ask(server, "/")[0] == 200
            assert ask(server, "/image/0")[0] == 200
        finally:
            server.shutdown()
            thread.join()


def test_a_connection_that_finds_no_thread_leaves_its_room(folder, monkeypatch):
    with Viewer(Content(find_results([folder]), "results")) as server:
        monkeypatch.setattr(
            threading.Thread, "start", lambda _: (_ for _ in ()).throw(RuntimeError("no thread"))
        )
        with socket.socket() as request, pytest.raises(RuntimeError, match="no thread"):
            server.process_request(request, ("127.0.0.1", 1))
        assert server._free._value == viewers.CONNECTIONS


def asked_at_once(server, paths):
    answers = [None] * len(paths)

    def one(number):
        answers[number] = ask(server, paths[number])[:2]

    threads = [threading.Thread(target=one, args=(number,)) for number in range(len(paths))]
    for thread in threads:
        thread.start()
    return threads, answers


def test_one_image_is_packed_once_for_all_who_ask_while_it_is(server, monkeypatch):
    packed, enough, pack = [], threading.Event(), viewers.image

    def slow(entries, error):
        packed.append(entries[0].image)
        assert enough.wait(60)
        return pack(entries, error=error)

    monkeypatch.setattr(viewers, "image", slow)
    threads, answers = asked_at_once(server, ["/image/0"] * 6 + ["/image/1"])
    while server._free._value > viewers.CONNECTIONS - 7:  # until all wait
        threads[0].join(0.01)
    threads[0].join(0.3)  # the last of them may not have come to the work yet
    enough.set()
    for thread in threads:
        thread.join()
    assert sorted(packed) == ["cell", "other"]
    assert [status for status, _ in answers] == [200] * 7
    assert len({body for _, body in answers}) == 2
    assert ask(server, "/image/0")[1] == answers[0][1]
    assert not server.shared._begun


def test_work_that_fails_fails_for_all_who_wait_and_can_be_asked_for_again():
    shared, begun, fail = viewers.AtTheSameTime(), threading.Event(), threading.Event()
    errors = []

    def work():
        begun.set()
        assert fail.wait(60)
        raise KeyError("gone")

    def ask_for_it():
        try:
            shared("key", work)
        except KeyError as error:
            errors.append(error.args)

    threads = [threading.Thread(target=ask_for_it) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert begun.wait(60)
    assert shared("other", lambda: b"other") == b"other"
    fail.set()
    for thread in threads:
        thread.join()
    assert errors == [("gone",)] * 3
    assert shared("key", lambda: b"again") == b"again"
