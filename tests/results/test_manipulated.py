# ruff: noqa: E501
"""A result file with a right checksum and wrong parts is refused when loaded, or works."""

import importlib.util
from contextlib import suppress
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from interpret_segmentation import Explanation, explain, explain_channels
from interpret_segmentation.results import ChannelExplanations, Layer
from interpret_segmentation.show.reports.content import Entry, images
from interpret_segmentation.show.results import load

SPACE = (9, 12)
QUICK = 25
"""Files of each kind that are tried by every run of the tests."""

STEP = 3
"""One of so many files is tried by the long ones."""

spec = importlib.util.spec_from_file_location("manipulated", Path(__file__).with_name("manipulated.py"))
manipulated = importlib.util.module_from_spec(spec)
spec.loader.exec_module(manipulated)


def network(batch):
    return batch.mean(1, keepdim=True)


def picture():
    image = torch.zeros(2, *SPACE)
    image[:, 2:6, 3:8] = 0.9
    return image


def volume():
    image = torch.zeros(1, 5, 6, 7)
    image[:, 1:3, 2:5, 2:5] = 0.9
    return image


def truth():
    reference = np.zeros(SPACE, dtype=bool)
    reference[3:6, 3:8] = True
    return reference


def parts():
    return np.arange(np.prod(SPACE)).reshape(SPACE) // 20


RISE = {"method": "rise", "N": 20, "s": 3, "seed": 1}
KINDS = {
    "hdm": {"method": "hdm", "circle_size": 6, "offset": 4, "reference": truth(), "spare": ~truth()},
    "volume": {"method": "hdm", "circle_size": 4, "offset": 3, "dims": 3, "target": "border"},
    "windows": {"method": "occlusion", "size": (5, 7), "offset": 4, "target": "component"},
    "parts": {"method": "occlusion", "shape": parts(), "fill": "mean", "target": np.eye(*SPACE) > 0},
    "masks": RISE | {"target": (3, 4), "spare": "segment"},
    "masks of segments": RISE | {"score": "dice"},
    "channels": {"method": "occlusion", "size": 6, "offset": 4},
}


def made(kind):
    if kind == "map":
        more = (Layer("a", "b", "c", np.ones(SPACE)),)
        known = {"model": {"classes": 3}, "run": {"seconds": 1.0, "forwards": 3, "versions": {"a": "1"}}}
        return Explanation(saliency=np.ones(SPACE), meaning="m", unit="u", more=more, **known)
    function = explain_channels if kind == "channels" else explain
    image = volume() if kind == "volume" else picture()
    return function(network, image, progress=False, **KINDS[kind])


def check_questions(one):
    """They are answered, or the method says that it keeps no answer to them."""
    with suppress(LookupError):
        assert one.of_pixels(np.ones(one.saliency.shape, dtype=bool)).shape == one.saliency.shape
    with suppress(LookupError):
        assert one.segment_when_hidden(0).shape == one.saliency.shape


def use(result, *, draw):
    """Everything that reads a result."""
    several = isinstance(result, ChannelExplanations)
    assert repr(result)
    if several:
        assert len(result.importance) == len(result.saliency)
    for one in result.explanations if several else (result,):
        assert one.layers()[0].name == "map"
        assert len(one.sentences()) > 0
        assert repr(one)
        assert isinstance(one.settings, dict)
        probes = one.probes()
        if probes is not None:
            for at in (0, len(probes) - 1):
                assert probes[at].hidden.shape == one.saliency.shape
        for file in (None, "file"):
            images([Entry(one, "image", file=file)], error=0.1)
        check_questions(one)
        if draw:
            plt.close(one.figure())
            assert "<img" in one._repr_html_()


def try_all(kind, folder, chosen):
    path = made(kind).save(folder / "result")
    use(load(path), draw=True)
    head, arrays = manipulated.parts_of(path)
    every = list(manipulated.manipulations(head, arrays))
    counts = {"refused": 0, "works": 0}
    for number, (name, other, content) in enumerate(chosen(every)):
        manipulated.written(folder / "other", other, content)
        try:
            result = load(folder / "other")
        except ValueError as error:
            assert "other" in str(error), name  # noqa: PT017  the file's name
            counts["refused"] += 1
            continue
        except Exception as error:
            raise AssertionError(f"loading fails raw where {name}") from error
        try:
            use(result, draw=number % 12 == 0)
        except Exception as error:
            raise AssertionError(f"a result was loaded and fails later where {name}") from error
        counts["works"] += 1
    return counts


def some(every):
    chosen = np.random.default_rng(7).choice(len(every), QUICK, replace=False)
    return [every[number] for number in chosen]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("kind", ["map", *KINDS])
def test_some_manipulated_files_are_refused_and_the_others_work(kind, tmp_path):
    counts = try_all(kind, tmp_path, some)
    assert counts["refused"] > QUICK / 4
    assert counts["works"] > 0


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("kind", ["map", *KINDS])
def test_many_manipulated_files_are_refused_or_work(kind, tmp_path):
    counts = try_all(kind, tmp_path, lambda every: every[::STEP])
    assert min(counts.values()) > 0


def set_to(*at, value):
    def change(head, arrays):
        inner = head["data"]
        for key in at[:-1]:
            inner = inner[key]
        inner[at[-1]] = value
        return head, arrays

    return change


def array(name, change):
    return lambda head, arrays: (head, arrays | {name: change(arrays[name].copy())})


def put(at, value):
    def change(values):
        values.reshape(-1)[at] = value
        return values

    return change


MEASURED = ("measured",)
CASES = {
    ("hdm", "a map that is not finite"): (array("saliency", put(0, np.nan)), "saliency"),
    ("hdm", "a map too large for a picture"): (array("saliency", put(0, 1e300)), "saliency must lie"),
    ("hdm", "a map of one axis"): (array("saliency", np.ravel), "must be W"),
    ("hdm", "an image with NaN"): (array("image", put(0, np.nan)), "image must lie from"),
    ("hdm", "an image without channels"): (array("image", lambda image: image[:0]), "image has no channels"),
    ("hdm", "no probabilities"): (array("prediction", lambda values: values + 5), "prediction must lie from"),
    ("hdm", "a segment of another size"): (array("segment", lambda mask: mask[1:]), "segment has 8 rows"),
    ("hdm", "a reference of another size"): (array("recipe.reference", lambda mask: mask[:, 1:]), "has 9 rows and 11"),
    ("hdm", "distances of one axis"): (array("measured.distances", np.ravel), "distances must be any x any"),
    ("hdm", "no distances"): (array("measured.distances", lambda values: values[:0]), "at least one distance"),
    ("hdm", "distances that are all unknown"): (array("measured.distances", put(slice(None), np.nan)), "distances must"),
    ("hdm", "infinite distances"): (array("measured.distances", put(-1, np.inf)), "distances must lie"),
    ("hdm", "whole numbers for words"): (set_to("meaning", value=3), "meaning cannot be 3"),
    ("hdm", "a circle that fills a city"): (set_to(*MEASURED, "circle_size", value=10**9), "circle_size must be at most"),
    ("hdm", "a baseline in a list"): (set_to(*MEASURED, "baseline", value=[1.0]), "baseline must be a finite number"),
    ("hdm", "spared pixels of another size"): (array("recipe.method.spare", lambda mask: mask[1:]), "spare has 8 rows"),
    ("hdm", "a word for a region"): (set_to("recipe", "method", "within", value="heart"), "within must be a region"),
    ("hdm", "a channel that is not there"): (set_to("recipe", "method", "channel", value=2), "channel must be one of the image's 2"),
    ("hdm", "spacing of three axes"): (set_to("recipe", "method", "spacing", value=[1.0] * 3), "spacing must be one number"),
    ("hdm", "another method"): (set_to("recipe", "method", value={"kind": "rise"}), "must be a RISEResult"),
    ("hdm", "runs that end before they begin"): (array("measured.turned_until", put(0, -2)), "turned_until must lie from 0"),
    ("hdm", "runs beyond the image"): (array("measured.turned", put(0, 10**6)), "turned must lie from 0 to 108"),
    ("hdm", "an odd number of ends"): (array("measured.turned_until", put(0, 1)), "turned_until must say"),
    ("hdm", "runs of more masks"): (array("measured.turned_until", lambda ends: np.append(ends, ends[-1])), "turned_until must be"),
    ("hdm", "runs that go backwards"): (array("measured.turned", lambda ends: ends[::-1]), "one after the other"),
    ("hdm", "versions in a list"): (set_to("run", "versions", value=[1]), "versions must be names"),
    ("hdm", "less than no time"): (set_to("run", "seconds", value=-1), "seconds must be a finite number of at least 0"),
    ("hdm", "no classes"): (set_to("model", "classes", value=0), "classes must be at least 1"),
    ("hdm", "a class beyond them"): (set_to("target", "label", value=7), "class 7 is explained, but the model has 1"),
    ("hdm", "a place outside"): (set_to("target", value={"kind": "pixel", "at": [9, 0]}), "no pixel"),
    ("hdm", "a component outside"): (set_to("recipe", "target", value={"kind": "component", "at": [0, 99]}), "no pixel"),
    ("hdm", "a place in a volume"): (set_to("target", value={"kind": "pixel", "at": [1, 1, 1]}), "no pixel"),
    ("hdm", "another number of axes"): (set_to("recipe", "model", "dims", value=3), "for 3 axes"),
    ("parts", "a region of another size"): (array("target.mask", lambda mask: mask[1:]), "target has 8 rows"),
    ("parts", "parts that were not asked about"): (array("measured.numbers", put(0, 99)), "numbers must lie from 0 to 5"),
    ("parts", "parts below none"): (array("measured.numbers", put(0, -1)), "numbers must lie from 0"),
    ("parts", "numbers that are none"): (array("measured.numbers", lambda values: values + 0.5), "whole numbers"),
    ("parts", "a score less"): (array("measured.scores", lambda values: values[1:]), "values must be 6"),
    ("parts", "scores that are none"): (array("measured.scores", put(0, np.nan)), "values must lie"),
    ("parts", "parts of another image"): (array("measured.parts", lambda values: values[:, 1:]), "must be 9 x 11"),
    ("parts", "parts of fractions"): (array("measured.parts", lambda values: values + 0.5), "labels must be whole"),
    ("windows", "windows of no size"): (set_to("recipe", "method", "offset", value=0), "offset must be"),
    ("masks", "scores of other pixels"): (array("measured.scores", lambda values: np.repeat(values, 2, 1)), "scores must be any x 1"),
    ("masks", "scores that are none"): (array("measured.scores", put(0, np.nan)), "scores must lie"),
    ("masks", "cells of other masks"): (array("measured.cells", lambda cells: cells[1:]), "cells must be 20"),
    ("masks", "grids with unequal sides"): (array("measured.cells", lambda cells: cells[:, 1:]), "equal sides"),
    ("masks", "shifts outside"): (array("measured.shifts", put(0, 99)), "shifts lie outside"),
    ("masks", "an error below 0"): (array("measured.standard_error", put(0, -1)), "standard_error must lie from 0"),
    ("masks", "a share of nothing"): (set_to("recipe", "method", "p1", value=1e-300), "p1 must be at least"),
    ("masks", "a share of others"): (set_to("recipe", "method", "p1", value=0.9), "of the cells is kept, but p1 is 0.9"),
    ("masks", "a seed too large"): (set_to("recipe", "method", "seed", value=2**63), "seed must be"),
    ("channels", "two of one name"): (set_to("names", value=["a", "a"]), "comes twice"),
    ("channels", "numbers for names"): (set_to("names", value=[1, 2]), "name must be text"),
    ("channels", "no channels"): (lambda head, arrays: (head | {"data": {"names": [], "channels": []}}, arrays), "one map or more"),
    ("map", "a layer of another size"): (array("more.0.values", lambda values: values[1:]), "the layer a must be 9 x 12"),
    ("map", "a layer that is infinite"): (array("more.0.values", put(0, np.inf)), "the layer a must lie"),
    ("map", "a number for a layer's name"): (set_to("more", 0, "name", value=3), "name of a layer must be text"),
    ("map", "a word for yes"): (set_to("from_zero", value="yes"), "from_zero must be True or False"),
    ("map", "a fill as target"): (set_to("target", value={"kind": "mean"}), "target cannot be"),
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    return {kind: made(kind).save(folder / kind) for kind in {kind for kind, _ in CASES}}


@pytest.mark.parametrize(("kind", "what"), CASES)
def test_it_is_told_what_is_wrong(kind, what, files, tmp_path):
    change, message = CASES[kind, what]
    path = manipulated.written(tmp_path / "file", *change(*manipulated.parts_of(files[kind])))
    with pytest.raises(ValueError, match=f"file is damaged: .*{message}"):
        (ChannelExplanations if kind == "channels" else Explanation).load(path)


def test_distances_that_are_left_out_are_no_probes_whatever_the_method_is_called(files, tmp_path):
    head, arrays = manipulated.parts_of(files["hdm"])
    head["data"]["recipe"]["method"]["kind"] = "of-another-program"
    loaded = Explanation.load(manipulated.written(tmp_path / "file", head, arrays))
    known = Explanation.load(files["hdm"]).probes()
    assert loaded.probes().numbers.tolist() == known.numbers.tolist()
    assert len(known) < loaded.measured["distances"].size


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 100_000])
def test_a_description_without_end_is_refused(content, tmp_path):
    from safetensors.numpy import save_file

    save_file({"a": np.ones(2)}, tmp_path / "file", metadata={"interpret-segmentation": content})
    with pytest.raises(ValueError, match="not an explanation that save"):
        Explanation.load(tmp_path / "file")


def test_an_array_of_a_type_that_numpy_does_not_have_is_refused(files, tmp_path):
    from safetensors.torch import save_file

    head, arrays = manipulated.parts_of(files["hdm"])
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    tensors["saliency"] = tensors["saliency"].to(torch.bfloat16)
    path = manipulated.written(tmp_path / "file", head, arrays)
    with manipulated.safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(ValueError, match="file is damaged"):
        Explanation.load(path)
