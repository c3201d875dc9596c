"""What the command line says is in its own options, whatever the rooms behind it say."""

import ast
import re
import warnings
from pathlib import Path

import click
import pytest

import interpret_segmentation
from interpret_segmentation._telling import tell
from interpret_segmentation.cli import commands
from interpret_segmentation.cli.words import Command, Terminal, Words

ROOT = Path(interpret_segmentation.__file__).parent
SETTINGS = ("size", "offset", "fill", "N", "seed", "within", "spare", "score", "design")
FUNCTION = "package.module:function, a function in a .py file that returns the model wrapped"


@pytest.fixture(scope="module")
def words():
    return Words(commands.explain, lambda: SETTINGS)


STEPS = "--mean, --std, --channels, --multiple, --size, --fit, --position, --pad-value, --layout"
"""The options that are arguments of `Preprocess`."""


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("pass activation='softmax', or 'sigmoid'", "pass --activation softmax, or 'sigmoid'"),
        (
            "ask SegmentationModel(model, activation='softmax') to confirm",
            "pass --activation softmax to confirm",
        ),
        ("with preprocess=Preprocess(channels=(0, 0, 0))", "with --channels 0,0,0"),
        ("preprocess=Preprocess(multiple=32), say", "--multiple 32, say"),
        (
            "Preprocess(mean=(0.5, 0.25), std=2.0, channels=(2,))",
            "--mean 0.5,0.25 --std 2.0 --channels 2",
        ),
        ("say it with output='out', say", "say it with --output out, say"),
        ("say it with output='my key'.", "say it with --output 'my key'."),
        ("It took one image before: pass batch_size=1.", "It took one image before: pass --batch-size 1."),
        ("(batch_size= sets it from the start)", "(--batch-size N sets it from the start)"),
        ("pass reference=, a mask", "pass --reference FILE, a mask"),
        ("target= asks otherwise", "--target WORDS asks otherwise"),
        ("as C x D x H x W with dims=3", "as C x D x H x W with --dims 3"),
        ("or pass overwrite=True", "or pass --overwrite"),
        ("1024 forwards; size=8 gives 25", "1024 forwards; --set size=8 gives 25"),
        ("size=(15, 25) or N=500", "--set 'size=[15, 25]' or --set N=500"),
        ("or design='random'", "or --set design=random"),
        ("no mask lies within= and", "no mask lies --set within=... and"),
        ("draw the same with seed=3", "draw the same with --seed 3"),
        ("Wrong(size=8, offset=4)", "--set size=8 --set offset=4"),
        (
            "pass output=lambda answer: answer.movedim(-1, -3)",
            f"pass {FUNCTION} so: answer -> answer.movedim(-1, -3)",
        ),
        (
            "output=lambda y: 1 - y[0, :2] + 0.5. Then go on",
            f"{FUNCTION} so: y -> 1 - y[0, :2] + 0.5. Then go on",
        ),
        (
            "preprocess=lambda batch: batch if batch.ndim == 4 else batch[None] in all cases",
            f"{FUNCTION} so: batch -> batch if batch.ndim == 4 else batch[None] in all cases",
        ),
        ("pass output=take_it, say", f"pass {FUNCTION} so, say"),
        (
            "pass output=, a function that makes it the image's size",
            f"pass {FUNCTION} in one that makes it the image's size",
        ),
        (
            "Pass output=, a key or a function that finds it",
            f"Pass --output KEY, or {FUNCTION} in one that finds it",
        ),
        ("ask SegmentationModel(net) first", f"pass {FUNCTION} so first"),
        (
            "with preprocess= or output= for what",
            f"with {STEPS} or --output KEY for what",
        ),
        (
            "a `preprocess` step can resize them",
            f"an option ({STEPS}) can resize them",
        ),
        (
            "pass `reference > 0` or `reference == label`",
            "save in its file `reference > 0` or `reference == label`",
        ),
        ("fill=lambda image, hidden: image * 0", "fill as a function, which only Python can tell,"),
    ],
)
def test_python_arguments_become_options(words, said, wanted):
    assert words(said) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "incremental=True, but whole images are asked about",
        "a == b and c != d",
        "already: --set size=8 and --set offset=4",
        "torch.load(path, weights_only=True)",
        "see https://example.org/?size=8",
        "move them with numpy.moveaxis(image, -1, 0)",
        "it's (not) closed",
        "x.size=3",
        "",
    ],
)
def test_what_is_no_argument_stays(words, text):
    assert words(text) == text


def test_an_option_that_comes_later_is_known_without_another_rule():
    @click.command(cls=Command)
    @click.option("--layout", type=click.Choice(("channels_first", "channels_last")))
    @click.option("--numpy", is_flag=True)
    @click.option("--ignore", multiple=True, type=int)
    @click.option("--smooth/--no-smooth")
    def later(**_):
        pass

    words = Words(later)
    assert words("layout='channels_last'") == "--layout channels_last"
    assert words("layout=") == "--layout channels_first|channels_last"
    assert words("numpy=True, ignore=255, smooth=False") == "--numpy, --ignore 255, --no-smooth"


def test_a_setting_and_a_step_of_preprocessing_may_have_one_name():
    @click.command(cls=Command)
    @click.option("--multiple", type=int)
    def both(**_):
        pass

    words = Words(both, lambda: ["multiple"])
    assert words("multiple=3") == "--set multiple=3"
    assert words("Preprocess(multiple=3)") == "--multiple 3"


def messages():
    """Every text in the source that is no docstring, with X for what is filled in."""
    for path in sorted(ROOT.rglob("*.py")):
        tree = ast.parse(path.read_text())
        skipped = {
            id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)
        }  # docstrings and texts after a constant
        inner = {
            id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values
        }
        for node in ast.walk(tree):
            if id(node) in skipped | inner:
                continue
            if isinstance(node, ast.JoinedStr):
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_no_message_of_any_room_needs_python_on_the_command_line(words):
    found = [text for text in messages() if re.search(r"=lambda|SegmentationModel\(|Preprocess\(", text)]
    assert len(found) >= 5
    for text in found:
        assert not re.search(r"=lambda|SegmentationModel\(|Preprocess\(", words(text)), text


def test_every_message_can_be_said(words):
    for text in messages():
        assert isinstance(words(text), str)


@pytest.fixture
def terminal(words):
    return Terminal(words)


@pytest.mark.filterwarnings("default")
def test_warnings_are_told_once_for_every_image_without_a_line_of_source(terminal, capsys):
    with terminal.listening():
        for image in ("a.png", "b.png"):
            terminal.begin(image)
            for _ in range(2):
                warnings.warn("pass dims=3", stacklevel=1)
                warnings.warn("old", DeprecationWarning, stacklevel=1)
    said = [line for line in capsys.readouterr().err.splitlines() if "old" not in line]
    assert said == ["a.png: warning: pass --dims 3", "b.png: warning: pass --dims 3"]


def test_what_long_work_tells_is_in_the_words_of_the_command(terminal, capsys):
    with terminal.listening():
        tell("about an hour; offset=64 gives 25")
    tell("about an hour; offset=64 gives 25")
    assert capsys.readouterr().err.splitlines() == [
        "about an hour; --set offset=64 gives 25",
        "about an hour; offset=64 gives 25",
    ]


@pytest.mark.filterwarnings("ignore:quiet")
def test_filters_of_the_user_go_first(terminal, capsys):
    with terminal.listening():
        warnings.warn("quiet, please", stacklevel=1)
    assert capsys.readouterr().err == ""
