from collections import OrderedDict
from dataclasses import FrozenInstanceError, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from names import printed

from interpret_segmentation._settings import Setting, Unrecorded, as_data, from_data, same


@dataclass(frozen=True, eq=False, repr=False)
class Recipe(Setting):
    """A setting of everything."""

    kind: ClassVar[str] = "a recipe for tests"

    first: Any = None
    second: Any = 2
    name: str = field(default="soup", kw_only=True)


@dataclass(frozen=True, eq=False, repr=False)
class Stew(Recipe):
    kind: ClassVar[str] = "a stew for tests"


@pytest.fixture(autouse=True, scope="module")
def _without_traces():
    yield
    for kind in (Recipe.kind, Stew.kind):
        Setting._kinds.pop(kind, None)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3)
    ),
    max_leaves=6,
)
SETTINGS = st.recursive(
    st.builds(Recipe, PLAIN, PLAIN, name=st.text(max_size=3)),
    lambda inner: st.builds(Recipe, inner, st.tuples(inner, PLAIN)),
    max_leaves=4,
)


@given(SETTINGS)
def test_settings_survive_the_way_to_plain_data_and_back(setting):
    again = from_data(as_data(setting))
    assert again == setting
    assert hash(again) == hash(setting)
    assert repr(again) == repr(setting)
    assert same(as_data(again), as_data(setting))


@given(SETTINGS)
def test_plain_data_holds_nothing_but_plain_data(setting):
    def check(data):
        if isinstance(data, dict):
            assert all(type(key) is str for key in data)
            for item in data.values():
                check(item)
        elif isinstance(data, list):
            for item in data:
                check(item)
        else:
            assert data is None or type(data) in (bool, int, float, str, np.ndarray)

    check(as_data(setting))


def test_only_what_differs_from_the_default_is_printed_and_keywords_come_last():
    assert repr(Recipe()) == "Recipe()"
    assert repr(Recipe(None, 2, name="soup")) == "Recipe()"
    assert repr(Recipe(1, 3, name="stew")) == "Recipe(first=1, second=3, name='stew')"
    assert repr(Recipe(1, name="stew")) == "Recipe(first=1, name='stew')"
    assert repr(Stew(Recipe(3), "x")) == "Stew(first=Recipe(first=3), second='x')"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.zeros((3, 4)), "<array 3 x 4>"),
        (np.eye(3, 4, dtype=bool), "<3 of 3 x 4 pixels>"),
        (as_data, "as_data"),
        (np.array(3.0), "<array >"),
    ],
    ids=printed,
)
def test_arrays_and_functions_are_printed_in_a_few_words(value, text):
    assert repr(Recipe(second=value)) == f"Recipe(second={text})"


def test_tensors_are_printed_like_arrays():
    assert repr(Recipe(second=torch.zeros(3, 4))) == "Recipe(second=<array 3 x 4>)"
    assert repr(Recipe(second=torch.eye(3, 4).bool())) == "Recipe(second=<3 of 3 x 4 pixels>)"


def test_a_setting_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Recipe().first = 3


def test_settings_are_equal_when_type_and_values_are():
    assert Recipe(1) == Recipe(1)
    assert Recipe(1) != Recipe(2)
    assert Recipe(1) != Stew(1)
    assert Recipe(1) != 1
    assert Recipe((1, 2)) == Recipe([1, 2])
    assert Recipe(Recipe(1)) == Recipe(Recipe(1))
    assert Recipe(Recipe(1)) != Recipe(Stew(1))
    assert Recipe(float("nan")) == Recipe(float("nan"))
    assert Recipe(as_data) == Recipe(as_data) != Recipe(from_data)


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_settings_with_arrays_are_compared_by_their_values(make):
    assert Recipe(make([1, 2])) == Recipe(make([1, 2]))
    assert Recipe(make([1, 2])) != Recipe(make([1, 3]))
    assert Recipe(make([1, 2])) != Recipe(make([[1, 2]]))
    assert Recipe(make([1, 2])) != Recipe(make([1.0, 2.0]))
    assert Recipe(make([1.0, np.nan])) == Recipe(make([1.0, np.nan]))
    assert Recipe(make([1.0, 2.0])) != Recipe(None) != Recipe(make([1.0, 2.0]))


def test_settings_with_equal_arrays_have_equal_hashes():
    assert hash(Recipe(np.array([1, 2]))) == hash(Recipe(np.array([1, 2])))


@pytest.mark.parametrize("other", [2.0, np.int64(2), np.float32(2)], ids=printed)
def test_equal_settings_have_equal_hashes(other):
    assert Recipe(2) == Recipe(other)
    assert hash(Recipe(2)) == hash(Recipe(other))


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.int16(3), 3),
        (np.float64(0.5), 0.5),
        (np.bool_(True), True),
        (Path("a") / "b", str(Path("a") / "b")),
        ((1, (2, [3])), [1, [2, [3]]]),
        (OrderedDict(a=(1,)), {"a": [1]}),
        ({1: 2}, {"1": 2}),
        (as_data, {"function": "interpret_segmentation._settings.as_data"}),
        (Unrecorded("a.b"), {"function": "a.b"}),
    ],
    ids=printed,
)
def test_values_become_plain_data(value, plain):
    data = as_data(value)
    assert data == plain
    assert type(data) is type(plain)


def test_tensors_become_arrays_also_those_with_a_gradient():
    data = as_data(torch.ones(2, 3, requires_grad=True))
    assert isinstance(data, np.ndarray)
    assert data.shape == (2, 3)


def test_tensors_of_half_precision_become_arrays():
    assert as_data(torch.ones(2, dtype=torch.bfloat16)).tolist() == [1, 1]


def test_a_function_comes_back_as_its_name_only():
    def secret():
        raise AssertionError

    again = from_data(as_data(Recipe(secret, (secret, 1))))
    assert isinstance(again.first, Unrecorded)
    assert again.first.name.endswith("secret")
    assert repr(again.first) == f"<function {again.first.name}, not saved>"
    assert again.second == (again.first, 1)
    assert from_data(as_data(again)) == again
    assert not callable(again.first)


def test_an_object_that_can_be_called_is_known_by_its_class():
    class Fill:
        def __call__(self):
            raise AssertionError

    assert as_data(Fill())["function"].endswith("Fill")


def test_lists_come_back_as_tuples_at_any_depth():
    assert from_data([1, [2, {"a": [3]}]]) == (1, (2, {"a": (3,)}))


def test_arrays_come_back_as_they_are():
    array = np.arange(6).reshape(2, 3)
    assert from_data({"a": array})["a"] is array


def test_a_kind_that_this_version_does_not_have_is_named():
    for unknown in ("hologram", None, 3):
        with pytest.raises(ValueError, match=rf"there is no setting of kind {unknown!r} in this version"):
            from_data({"a": [{"kind": unknown}]})


@pytest.mark.parametrize(
    "data",
    [
        {"kind": "class", "lable": 1},
        {"kind": "region"},
        {"kind": "pixel", "at": 5},
        {"kind": "border", "width": "wide"},
        {"kind": "region", "mask": "abc"},
    ],
    ids=printed,
)
def test_damaged_settings_are_called_damaged(data):
    from interpret_segmentation import targets  # noqa: F401

    with pytest.raises(ValueError, match=f"the setting '{data['kind']}' is damaged"):
        from_data(data)


@pytest.mark.parametrize(
    "data",
    [{"kind": "class", "label": -1}, {"kind": "border", "width": 0}, {"kind": "component", "of": "nobody"}],
    ids=printed,
)
def test_settings_out_of_range_are_refused_by_themselves(data):
    with pytest.raises(ValueError, match=r"(label|width|of) must be"):
        from_data(data)


@pytest.mark.parametrize("kind", [["class"], {"a": 1}], ids=printed)
def test_a_kind_that_is_no_word_is_damage_too(kind):
    with pytest.raises(ValueError, match="kind"):
        from_data({"kind": kind})


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        (float("nan"), float("nan"), True),
        (float("nan"), 1.0, False),
        ([1, 2], (1, 2), True),
        ([1, 2], [1, 2, 3], False),
        ({"a": 1}, {"a": 1}, True),
        ({"a": 1}, {"b": 1}, False),
        ({"a": 1}, {"a": 1, "b": 1}, False),
        ({"a": [np.ones(2)]}, {"a": [np.ones(2)]}, True),
        (np.ones(2), np.ones(3), False),
        (np.ones(2), np.ones(2, np.float32), False),
        (np.array([np.nan]), np.array([np.nan]), True),
        (np.array(["a"]), np.array(["a"]), True),
        (np.ones(1), None, False),
        (None, np.ones(1), False),
        ("a", ["a"], False),
        (None, 0, False),
    ],
    ids=printed,
)
def test_plain_data_is_the_same_when_everything_in_it_is(one, other, equal):
    assert same(one, other) is equal
    assert same(other, one) is equal
