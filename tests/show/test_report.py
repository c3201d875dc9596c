"""What travels in a report, against what it was made from."""

import base64
import json
import re
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from networks import FarPatch, brightness

from interpret_segmentation import Explanation, explain, explain_channels
from interpret_segmentation.show import report
from interpret_segmentation.show.reports import content as contents
from interpret_segmentation.show.reports.factors import factorised
from interpret_segmentation.show.reports.packing import coarser, coarser_mask, packed_map, packed_mask
from interpret_segmentation.show.reports.words import code, words
from interpret_segmentation.show.results import find_results

pytestmark = pytest.mark.slow


def unpacked(text, kind):
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=kind)


def read_map(packed):
    levels = unpacked(packed["data"], "<u2")
    values = packed["first"] + levels / 65534 * (packed["last"] - packed["first"])
    return np.where(levels == 65535, np.nan, values)


def read_mask(text, count):
    return np.unpackbits(unpacked(text, np.uint8), bitorder="little")[:count].astype(bool)


def noisy(height=23, width=31, channels=1, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).random((channels, height, width), dtype=np.float32))


def blob(height=40, width=56):
    image = 0.1 * noisy(height, width)
    image[:, 8:24, 10:30] += 0.7
    return image


def risen(image=None, **settings):
    image = blob() if image is None else image
    return explain(brightness, image, "rise", **({"N": 200, "s": 4, "seed": 0} | settings), progress=False)


def hidden(image=None, **settings):
    image = blob() if image is None else image
    return explain(brightness, image, "hdm", circle_size=7, offset=5, progress=False, **settings)


class Page(HTMLParser):
    """The elements of a page, and the text of the one that holds its content."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.content, self._inside = [], "", False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._inside = dict(attributes).get("id") == "content"

    def handle_endtag(self, _):
        self._inside = False

    def handle_data(self, data):
        self.content += data if self._inside else ""


def read(path):
    return json.loads(Page(path.read_text(encoding="utf-8")).content)


# ---- packing


@given(arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 7)), elements=st.one_of(
    st.floats(-1e6, 1e6, width=32), st.just(np.float32(np.nan)))))  # fmt: skip
def test_a_map_comes_back_within_half_a_level_and_nothing_stays_nothing(values):
    packed = packed_map(values)
    back = read_map(packed).reshape(values.shape)
    np.testing.assert_array_equal(np.isnan(back), np.isnan(values))
    level = (packed["last"] - packed["first"]) / 65534
    known = ~np.isnan(values)
    assert (np.abs(back - values)[known] <= 0.5001 * level + 1e-9).all()


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_a_set_of_pixels_comes_back(mask):
    np.testing.assert_array_equal(read_mask(packed_mask(mask), mask.size).reshape(mask.shape), mask)


@pytest.mark.parametrize("shape", [(7, 10), (1, 5), (4, 7, 10)])
def test_blocks_have_the_mean_of_their_pixels_without_those_that_have_none(shape):
    values = np.random.default_rng(0).random(shape)
    values.ravel()[::5] = np.nan
    found_ = coarser(values, 3, len(shape))
    for place in np.ndindex(found_.shape):
        block = values[tuple(slice(3 * at, 3 * at + 3) for at in place)]
        assert found_[place] == pytest.approx(np.nanmean(block))


def test_a_block_belongs_to_a_set_when_half_of_its_pixels_do():
    mask = np.array([[1, 1, 0], [0, 0, 0], [1, 0, 1]], dtype=bool)
    np.testing.assert_array_equal(coarser_mask(mask, 2), [[True, False], [True, True]])


# ---- the maps of single pixels


SPARED = np.pad(np.ones((20, 20), dtype=bool), ((0, 20), (0, 36)))


@pytest.mark.parametrize("settings", [{}, {"estimator": "paper", "p1": 0.3}, {"spare": SPARED}])
def test_the_product_of_the_factors_is_the_map_of_every_pixel(settings):
    result = risen(**settings)
    factors = factorised(result, error=0.01, budget=10**7)
    maps = (factors.outputs * factors.scales) @ factors.inputs.T.astype(np.float32)
    exact = np.stack([result.pixel(*at).numpy().ravel() for at in np.argwhere(result.pixels)])
    reached = np.linalg.norm(maps - exact) / np.linalg.norm(exact)
    assert reached < 0.02
    assert factors.error == pytest.approx(reached, rel=0.5)
    np.testing.assert_array_equal(factors.explained, result.pixels)


def test_a_smaller_error_takes_a_larger_rank_and_the_budget_is_never_exceeded():
    result = risen(noisy(40, 56), N=300, s=6)
    rough, fine = (factorised(result, error=error, budget=10**7) for error in (0.5, 0.02))
    assert rough.rank < fine.rank
    assert rough.error > fine.error
    assert fine.error <= 0.02
    poor = factorised(result, error=0, budget=100_000)
    assert poor.nbytes <= 100_000
    assert poor.rank == 100_000 // (result.scores.columns + 40 * 56)


@pytest.mark.parametrize("step", [2, 3])
def test_blocks_have_the_mean_of_their_pixels_maps(step):
    result = risen()
    factors = factorised(result, error=0.005, budget=10**7, step=step)
    maps = (factors.outputs * factors.scales) @ factors.inputs.T.astype(np.float32)
    for row, block in zip(maps, np.argwhere(factors.explained), strict=True):
        region = np.zeros(result.pixels.shape, dtype=bool)
        region[tuple(slice(step * at, step * at + step) for at in block)] = True
        exact = coarser(result.region(region).numpy(), step, 2).ravel()
        assert np.linalg.norm(row - exact) < 0.05 * np.linalg.norm(exact) + 1e-4


def test_volumes_are_factorised_too():
    volume = torch.zeros(1, 6, 12, 14)
    volume[:, 1:4, 3:9, 4:10] = 1
    result = explain(brightness, volume, "rise", N=100, s=3, seed=0, dims=3, progress=False)
    factors = factorised(result, error=0.02, budget=10**7, step=2)
    assert factors.explained.shape == (3, 6, 7)
    assert factors.error <= 0.02


def test_one_explained_pixel_needs_one_pair_of_pictures():
    result = explain(brightness, blob(), "rise", N=50, target=(12, 14), seed=0, progress=False)
    factors = factorised(result, error=0.01, budget=10**7)
    assert factors.rank == 1
    exact = result.pixel(12, 14).numpy().ravel()
    np.testing.assert_allclose(
        factors.outputs[0, 0] * factors.scales[0] * factors.inputs[:, 0], exact, atol=0.01
    )


def test_a_region_has_the_mean_map_of_its_explained_pixels():
    result = risen()
    region = np.zeros(result.pixels.shape, dtype=bool)
    region[5:12, 8:13] = True
    inside = np.argwhere(region & result.pixels)
    assert 0 < len(inside) < region.sum()
    wanted = np.mean([result.pixel(*at).numpy() for at in inside], axis=0)
    np.testing.assert_allclose(result.region(region), wanted, atol=1e-5)
    np.testing.assert_allclose(result.region(np.ones_like(region)), result.mean(), atol=1e-5)
    lonely = np.zeros_like(region)
    lonely[0, 0] = True
    with pytest.raises(IndexError, match="none of the 1 pixels"):
        result.region(lonely)
    with pytest.raises(ValueError, match="region must be"):
        result.region(np.ones((3, 3)))


# ---- the page


def test_the_page_holds_image_prediction_outlines_and_maps_as_they_are(tmp_path):
    image, truth = blob(), np.zeros((40, 56))
    truth[8:20, 10:26] = 1
    result = hidden(image, reference=truth)
    (shown,) = read(result.report(tmp_path / "report.html"))["images"]
    assert shown["size"] == [1, 40, 56]
    (case,) = shown["cases"]
    np.testing.assert_array_equal(read_mask(case["segment"], 40 * 56).reshape(40, 56), result.segment)
    np.testing.assert_array_equal(read_mask(case["truth"], 40 * 56).reshape(40, 56), truth > 0)
    np.testing.assert_allclose(read_map(case["prediction"]).reshape(40, 56), result.prediction, atol=1e-4)
    layers = {layer["id"]: layer for layer in case["layers"]}
    assert set(layers) == {"map", "lost", "old_to_new", "raw", "worse", "better"}
    saliency = np.where(result.reached, result.saliency, np.nan)
    np.testing.assert_allclose(read_map(layers["map"]["values"]).reshape(40, 56), saliency, atol=1e-2)
    assert layers["map"]["unit"] == "pixels"
    values = unpacked(case["positions"]["values"], "<f4")
    np.testing.assert_allclose(values, result.measured["distances"].ravel(), rtol=1e-6)
    picture = unpacked(shown["picture"], np.uint8).reshape(40, 56)
    low, high = image.min(), image.max()
    np.testing.assert_allclose(picture, (255 * (image[0] - low) / (high - low)).numpy(), atol=0.51)


def test_maps_of_one_image_stand_together_and_other_images_apart(tmp_path):
    shown = read(report([hidden(), risen(), hidden(noisy())], tmp_path / "report.html"))["images"]
    assert [[case["name"] for case in image["cases"]] for image in shown] == [["HDM", "RISE"], ["HDM"]]
    assert [image["name"] for image in shown] == ["image 1", "image 2"]


def test_results_of_other_targets_need_no_other_name(tmp_path):
    both = [risen(), risen(target=(12, 14))]
    (image,) = read(report(both, tmp_path / "report.html"))["images"]
    assert [(case["name"], case["target"]) for case in image["cases"]] == [
        ("RISE", "class 0"),
        ("RISE", "pixel (12, 14) of class 0"),
    ]


def test_results_of_one_method_are_told_apart_by_what_differs(tmp_path):
    both = [risen(p1=0.1), risen(p1=0.5)]
    ((image),) = read(report(both, tmp_path / "report.html"))["images"]
    assert [case["name"] for case in image["cases"]] == ["RISE, p1 0.1", "RISE, p1 0.5"]
    named = read(report({"few": both[0], "many": both[1]}, tmp_path / "named.html"))["images"][0]
    assert [case["name"] for case in named["cases"]] == ["few", "many"]


def test_what_users_wrote_cannot_end_the_script_or_begin_an_element(tmp_path):
    evil = '</script><img src=x onerror="alert(1)"><!--'
    path = report({evil: hidden()}, tmp_path / "report.html", title=evil, metrics=[{evil: 0.5}])
    page = Page(path.read_text(encoding="utf-8"))
    assert not [tag for tag, attributes in page.tags if tag == "img" or "onerror" in attributes]
    assert sum(tag == "script" for tag, _ in page.tags) == 2
    assert json.loads(page.content)["images"][0]["cases"][0]["name"] == evil


def test_the_page_asks_for_nothing_and_forbids_it_too(tmp_path):
    text = hidden().report(tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    (policy,) = [a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert "connect-src" not in policy
    assert not [
        tag for tag, a in page.tags if tag in ("link", "iframe", "object") or {"src", "href"} & set(a)
    ]
    assert not re.search(r"url\(|@import|XMLHttpRequest|WebSocket|importScripts", text)
    assert set(re.findall(r"https?://[^\s\"'<]+", text)) <= {"http://www.w3.org/2000/svg"}


def test_without_data_the_page_is_small():
    from interpret_segmentation.show.reports.document import filled

    assert len(filled({"images": []}, title="", policy="").encode()) < 150_000


def test_a_report_is_never_overwritten_unasked_and_written_whole(tmp_path):
    path = hidden().report(tmp_path / "report.html")
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        hidden().report(path)
    assert path.read_bytes() == before
    risen().report(path, overwrite=True)
    assert path.read_bytes() != before
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(IsADirectoryError, match="needs the name of a file"):
        hidden().report(tmp_path)


def test_what_is_no_explanation_is_refused(tmp_path):
    with pytest.raises(TypeError, match="needs explanations, got ndarray"):
        report([np.ones((3, 3))], tmp_path / "a.html")
    with pytest.raises(ValueError, match="at least one"):
        report([], tmp_path / "a.html")
    with pytest.raises(ValueError, match="2 explanations, but metrics for 1"):
        report([hidden(), risen()], tmp_path / "a.html", metrics=[{}])


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 3)])
def test_the_smallest_images_have_a_report(tmp_path, shape):
    image = torch.ones(1, *shape)
    results = [
        explain(brightness, image, "hdm", circle_size=1, offset=1, progress=False),
        explain(brightness, image, "rise", N=20, s=1, seed=0, progress=False),
    ]
    (shown,) = read(report(results, tmp_path / "report.html"))["images"]
    assert shown["size"] == [1, *shape]


def test_bare_maps_channels_volumes_and_many_planes_have_a_report(tmp_path):
    bare = Explanation(np.arange(6.0).reshape(2, 3))
    assert read(bare.report(tmp_path / "bare.html"))["images"][0]["planes"] == ["none"]
    channels = explain_channels(brightness, noisy(channels=2), "occlusion", progress=False)
    ((image),) = read(report(list(channels.explanations), tmp_path / "channels.html"))["images"]
    assert [case["name"] for case in image["cases"]] == ["occlusion, channel 0", "occlusion, channel 1"]
    assert {case["target"] for case in image["cases"]} == {"class 0"}
    largest = max(np.abs(one.saliency).max() for one in channels.explanations)
    assert [case["layers"][0]["limits"][1] for case in image["cases"]] == pytest.approx([largest, largest])
    assert image["planes"] == ["mean of channels", "channel 0", "channel 1"]
    volume = torch.zeros(1, 4, 12, 14)
    volume[:, 1:3, 3:9, 4:10] = 1
    result = explain(brightness, volume, "hdm", circle_size=6, offset=4, dims=3, progress=False)
    (shown,) = read(result.report(tmp_path / "volume.html"))["images"]
    assert shown["size"] == [4, 12, 14]
    many = hidden(noisy(channels=40))
    assert read(many.report(tmp_path / "many.html"))["images"][0]["planes"] == ["mean of channels"]


def test_large_images_are_shown_in_blocks_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(contents, "PIXELS", 40 * 56 // 4)
    monkeypatch.setattr(contents, "FACTOR_PIXELS", 40 * 56 // 16)
    results = [hidden(), risen()]
    (shown,) = read(report(results, tmp_path / "report.html"))["images"]
    assert (shown["step"], shown["size"]) == (2, [1, 20, 28])
    circles, masks = shown["cases"]
    assert "mean of 2 along each side" in circles["notes"][0]
    assert "blocks of 4" in masks["notes"][1]
    assert (masks["factors"]["step"], masks["factors"]["size"]) == (2, [1, 10, 14])
    ends, until = (unpacked(circles["positions"]["turned"][name], "<i4") for name in ("ends", "until"))
    plain = coarser_mask(results[0].segment, 2).ravel()
    for number in (0, 30, len(until) - 1):
        runs = ends[until[number - 1] if number else 0 : until[number]]
        found_ = plain.copy()
        for begin, end in runs.reshape(-1, 2):
            found_[begin:end] ^= True
        wanted = coarser_mask(results[0].segment_when_hidden(number), 2).ravel()
        np.testing.assert_array_equal(found_, wanted)


@pytest.mark.slow
def test_a_report_of_3000_masks_of_240_pixels_stays_under_15_megabytes(tmp_path):
    rows, columns = torch.meshgrid(torch.arange(240), torch.arange(240), indexing="ij")
    image = ((rows - 120) ** 2 + (columns - 100) ** 2 < 60**2).float()[None]
    result = explain(brightness, image, "rise", N=3000, s=8, seed=0, progress=False)
    path = result.report(tmp_path / "report.html")
    assert path.stat().st_size < 15e6


# ---- what was done


@pytest.mark.parametrize("make", [
    lambda: explain(brightness, blob(), "hdm", circle_size=9, offset=8, distance="mae", progress=False),
    lambda: explain(brightness, blob(), "rise", N=50, s=3, seed=5, estimator="paper", progress=False),
    lambda: explain(brightness, blob(), "occlusion", fill="noise", size=(7, 9), target=0, progress=False),
])  # fmt: skip
def test_the_line_of_code_makes_the_map_again(make):
    result = make()
    known = {"model": brightness, "image": blob()}
    exec(code(result, None).rstrip(")") + ", progress=False)", known)  # noqa: S102  it is what is tested
    np.testing.assert_array_equal(known["explanation"].saliency, result.saliency)


def test_of_a_file_the_line_of_code_is_to_repeat_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = risen()
    result.save("cell.rise.safetensors")
    (saved,) = find_results([tmp_path])
    (entry,) = saved.entries()
    known = {"model": brightness}
    exec(code(entry.explanation, entry.file), known)  # noqa: S102  it is what is tested
    assert saved.name == "cell"
    np.testing.assert_array_equal(known["explanation"].saliency, result.saliency)


def test_the_words_say_what_was_hidden_how_often_and_what_was_measured():
    said = words(hidden())
    assert "circle of 7 pixels was laid over the image at 96 positions, 5 pixels apart" in said
    assert "growth of directed Hausdorff distance over levels when hidden, in pixels" in said
    assert "asked about" in said
    assert "200 random masks, enlarged from grids of 4 x 4 cells" in words(risen())
    parts = explain(brightness, blob(), "occlusion", shape="square", size=6, offset=6, progress=False)
    assert "(square of 6 pixels) were hidden one after the other" in words(parts)


def test_settings_of_a_function_and_of_a_network_of_ones_own_have_words_too():
    far = FarPatch(2, 40)
    result = explain(
        far, torch.ones(1, 20, 60), "hdm", distance=lambda a, _: float(a.sum()), offset=9, progress=False
    )
    assert "distance" in words(result)
    assert "distance=distance" in code(result, None)


# ---- finding results


def test_files_of_one_image_are_found_together_and_folders_are_looked_into(tmp_path):
    for name in ("a.hdm", "a.rise", "b.v2.hdm", "plain"):
        hidden().save(tmp_path / f"{name}.safetensors")
    (tmp_path / "a.hdm.png").touch()
    assert {one.name: len(one.files) for one in find_results([tmp_path])} == {"a": 2, "b.v2": 1, "plain": 1}
    assert [one.name for one in find_results([tmp_path / "plain.safetensors"])] == ["plain"]
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="has no results"):
        find_results([empty])
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        find_results([tmp_path / "nowhere"])


def test_a_file_of_channels_gives_a_map_for_each(tmp_path):
    channels = explain_channels(
        brightness, noisy(channels=2), "occlusion", names=("T1", "FLAIR"), progress=False
    )
    channels.save(tmp_path / "scan.occlusion.safetensors")
    (saved,) = find_results([tmp_path])
    assert [entry.name for entry in saved.entries()] == ["occlusion, channel T1", "occlusion, channel FLAIR"]
    (tmp_path / "scan.occlusion.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="not a safetensors file"):
        saved.entries()


# ---- notebooks


def test_in_a_notebook_an_explanation_is_a_picture_with_its_caption():
    shown = hidden()._repr_html_()
    assert shown.startswith("<figure")
    picture = base64.b64decode(re.search(r"data:image/png;base64,([^\"]+)", shown)[1])
    assert picture.startswith(b"\x89PNG")
    assert "circle of 7 pixels" in shown


def test_on_request_a_notebook_shows_the_report_in_a_frame():
    frame = hidden().frame(height=500)
    shown = Page(frame._repr_html_())
    ((tag, attributes),) = shown.tags
    assert (tag, attributes["sandbox"]) == ("iframe", "allow-scripts")
    assert "height:500px" in attributes["style"]
    assert json.loads(Page(attributes["srcdoc"]).content)["images"][0]["size"] == [1, 40, 56]


@pytest.mark.parametrize("error", [-1, float("nan")])
def test_a_negative_error_is_refused(tmp_path, error):
    with pytest.raises(ValueError, match="at least 0"):
        hidden().report(tmp_path / "made.html", error=error)
    assert not (tmp_path / "made.html").exists()
