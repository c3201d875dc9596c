"""Says in the options of a command what all other rooms say in Python's arguments."""

from __future__ import annotations

import re
import shlex
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

import click

from interpret_segmentation._telling import TELL, beside_bars

PROGRAM = "interpret-segmentation"

WRAPPERS = ("SegmentationModel", "ModelOptions", "Preprocess")
"""What holds arguments in Python that are options here."""

FUNCTION = "package.module:function, a function in a .py file that returns the model wrapped"
"""What takes the place of a function as an argument."""

START = re.compile(r"(?<![\w.=?&/-])(?<!--set )(?:(?P<call>[A-Za-z_]\w*)\(|(?P<name>[A-Za-z_]\w*)=(?!=))")
PLAIN = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?|[A-Za-z_]\w*(?:\.\w+)*")
LAMBDA = re.compile(r"lambda\s*(?P<names>[\w, *=]*):\s*")
GOES_ON = re.compile(r"\s+(?=[-+*/%@<>=!&|^]|(?:if|else|for|in|and|or|not|is)\b)")
OPERATOR = re.compile(r"(?:[-+*/%@<>=!&|^]|\b(?:if|else|for|in|and|or|not|is))\s+\Z")
CLOSING = {"(": ")", "[": "]", "{": "}"}


class Words:
    """The words of a command: its options, and the settings of the method that it is told.

    Args:
        command: Its options are the words; one that comes later is known without another rule.
        settings: Gives the names of the method's settings.
    """

    def __init__(self, command: click.Command, settings: Callable[[], Collection[str]] = tuple) -> None:
        self._options = {option.name: option for option in command.params if isinstance(option, click.Option)}
        self._settings = settings

    def __call__(self, text: str) -> str:
        """A message in the words of the command."""
        if START.search(text) is None and "`" not in text:
            return text
        text = re.sub(r"\bask (?=SegmentationModel\()", "pass ", text)
        text = re.sub(
            r"\bpass (?=`(\w+) (?:[<>]|==))",
            lambda found: "save in its file " if found[1] in self._options else found[0],
            text,
        )
        if "a `preprocess` step" in text and (steps := self._steps()):
            text = text.replace("a `preprocess` step", f"an option ({steps})")
        parts, at = [], 0
        while (found := START.search(text, at)) is not None:
            spelled, end = self._call(text, found) if found["call"] else self._argument(text, found)
            parts += [text[at : found.start()], found[0] if spelled is None else spelled]
            at = found.end() if spelled is None else end
        return "".join(parts) + text[at:]

    def _call(self, text: str, found: re.Match[str]) -> tuple[str | None, int]:
        """``Preprocess(multiple=32)`` as ``--multiple 32``; None where it is no bundle of options."""
        end = _closed(text, found.end() - 1)
        given = [START.match(part) for part in _parts(text[found.end() : end - 1])]
        nested = found["call"] in WRAPPERS
        spelled = [
            self._argument(one.string, one, nested=nested)[0]
            for one in given
            if one is not None and one["name"]
        ]
        said = [one for one in spelled if one is not None]
        if said and len(said) == len(spelled):
            return " ".join(said), end
        return (f"{FUNCTION} so" if nested else None), end

    def _argument(self, text: str, found: re.Match[str], *, nested: bool = False) -> tuple[str | None, int]:
        """``batch_size=1`` as ``--batch-size 1``; None where nothing is called so here."""
        name = found["name"]
        value, end = _value(text, found.end())
        option, is_setting = self._options.get(name), self._is_setting(name, nested=nested)
        if option is None and not is_setting and name != "preprocess":
            return (f"{name} as a function" if value.startswith("lambda") else None), end
        if is_setting:
            return _as_setting(name, value), end
        if (function := LAMBDA.match(value)) is not None:
            return f"{FUNCTION} so: {function['names'].strip()} -> {value[function.end() :]}", end
        if not value and (also := re.compile(r", (a key or )?a function( that)?").match(text, end)):
            first = f"{self._spelled(name, '')}, or " if also[1] else ""
            return f"{first}{FUNCTION} in one{also[2] or ' of yours,'}", also.end()
        call = START.match(value)
        if call is not None and call["call"]:
            return self._call(value, call)[0] or f"{FUNCTION} so", end
        if name == "preprocess":
            return (f"{FUNCTION} so" if value and value != "..." else self._steps() or None), end
        if value and PLAIN.fullmatch(value) and value[0].isalpha() and value not in ("True", "False", "None"):
            return f"{FUNCTION} so", end  # the name of a function
        return self._spelled(name, value), end

    def _is_setting(self, name: str, *, nested: bool) -> bool:
        """Whether a setting of the method is meant, which a step of `Preprocess` may share its name with."""
        if nested or (name in self._options and name not in _fields_of_preprocess()):
            return False
        return name in self._settings()

    def _spelled(self, name: str, value: str) -> str:
        option = self._options[name]
        spelling = max(option.opts, key=len)
        if option.is_flag:
            if value != "False":
                return spelling
            return option.secondary_opts[0] if option.secondary_opts else f"no {spelling}"
        if value in ("", "..."):
            return f"{spelling} {_metavar(option)}"
        return f"{spelling} {shlex.quote(','.join(_items(value)))}"

    def _steps(self) -> str:
        """The options that are arguments of `Preprocess` in Python."""
        return ", ".join(max(self._options[name].opts, key=len) for name in _fields_of_preprocess()
                         if name in self._options)  # fmt: skip


class Terminal:
    """Shows warnings and what long work tells, in the words of a command, each once for every image.

    Args:
        words: Of the command.
    """

    def __init__(self, words: Words) -> None:
        self.words = words
        self._about = ""
        self._told: set[str] = set()

    def begin(self, about: str) -> None:
        """Go on to the next image, for which everything is told anew."""
        self._about = f"{about}: "
        self._told.clear()
        _pass_on_warnings()

    def tell(self, text: str) -> None:
        """Say a line on the standard error output."""
        line = self._about + " ".join(self.words(text).split())
        if line in self._told:
            return
        self._told.add(line)
        if "tqdm" in sys.modules:
            beside_bars(line)
        else:
            click.echo(line, err=True)

    def _show(
        self,
        message: Warning | str,
        category: type[Warning],  # noqa: ARG002
        filename: str,  # noqa: ARG002
        lineno: int,  # noqa: ARG002
        file: TextIO | None = None,  # noqa: ARG002
        line: str | None = None,  # noqa: ARG002
    ) -> None:
        self.tell(f"warning: {message}")

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Show what is said within the block."""
        token = TELL.set(self.tell)
        try:
            with warnings.catch_warnings():
                _pass_on_warnings()
                warnings.showwarning = self._show
                yield
        finally:
            TELL.reset(token)


class Command(click.Command):
    """A command whose warnings and errors are in its own words, with examples at the end of its help.

    Args:
        examples: Command lines without the program's name.
    """

    def __init__(self, *args: Any, examples: Sequence[str] = (), **options: Any) -> None:
        super().__init__(*args, **options)
        self._examples = examples

    def settings(self, context: click.Context) -> Collection[str]:  # noqa: ARG002
        """Names of the settings that the command can be told beside its options."""
        return ()

    def invoke(self, context: click.Context) -> Any:
        """Run it."""
        words = Words(self, lambda: self.settings(context))
        context.obj = terminal = Terminal(words)
        with terminal.listening():
            try:
                return super().invoke(context)
            except click.ClickException as error:
                error.message = words(error.message)  # type: ignore[misc]
                raise

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples."""
        if self._examples:
            with formatter.section("Examples"):
                for example in self._examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{PROGRAM} {example}\n")
        super().format_epilog(context, formatter)


def _pass_on_warnings() -> None:
    """Let what no filter of the user speaks of come every time, and what comes once come once more."""
    warnings.simplefilter("always", append=True)


def _fields_of_preprocess() -> tuple[str, ...]:
    from dataclasses import fields

    from interpret_segmentation.data.preprocess import Preprocess

    return tuple(part.name for part in fields(Preprocess))


def _metavar(option: click.Option) -> str:
    if option.metavar:
        return option.metavar
    if isinstance(option.type, click.Choice):
        return "|".join(map(str, option.type.choices))
    if isinstance(option.type, click.Path):
        return "FILE" if option.type.file_okay else "FOLDER"
    return "N" if "int" in option.type.name else str(option.name).upper()


def _as_setting(name: str, value: str) -> str:
    if value in ("", "..."):
        return f"--set {name}=..."
    if value.startswith("lambda"):
        return f"{name} as a function, which only Python can tell,"
    items = _items(value)
    if value[0] in "([":
        said = f"[{', '.join(items)}]"
    else:
        said = {"True": "true", "False": "false", "None": "null"}.get(value, items[0])
    return f"--set {shlex.quote(f'{name}={said}')}"


def _items(value: str) -> list[str]:
    """The parts of a tuple, or the value itself, without quotes."""
    parts = _parts(value[1:-1]) if value[0] in "([" else [value]
    return [part.strip("'\"") for part in parts]


def _value(text: str, at: int) -> tuple[str, int]:
    """The Python value that begins there, and where it ends; empty where none does."""
    if text.startswith("...", at):
        return "...", at + 3
    if text[at : at + 1] in ("'", '"'):
        closing = text.find(text[at], at + 1)
        return (text[at : closing + 1], closing + 1) if closing > 0 else ("", at)
    if text[at : at + 1] in CLOSING:
        end = _closed(text, at)
        return text[at:end], end
    if (function := LAMBDA.match(text, at)) is not None:
        end = _expression(text, function.end())
        return text[at:end], end
    plain = PLAIN.match(text, at)
    if plain is None:
        return "", at
    end = plain.end()
    if text[end : end + 1] == "(":
        end = _closed(text, end)
    return text[at:end], end


def _expression(text: str, at: int) -> int:
    """Where an expression ends that is part of a sentence."""
    begin = at
    while at < len(text):
        if text[at] in CLOSING:
            at = _closed(text, at)
            continue
        ends = text[at] in ";,)]}`" or (text[at] == "." and not text[at + 1 : at + 2].isalnum())
        if text[at].isspace():
            ends = GOES_ON.match(text, at) is None and OPERATOR.search(text[begin : at + 1]) is None
        if ends:
            break
        at += 1
    return at


def _closed(text: str, at: int) -> int:
    """One beyond the bracket that closes the one there; the text's end where none does."""
    depth, quote = 0, ""
    for place in range(at, len(text)):
        mark = text[place]
        if quote:
            quote = "" if mark == quote else quote
        elif mark in "'\"":
            quote = mark
        elif mark in CLOSING:
            depth += 1
        elif mark in CLOSING.values():
            depth -= 1
            if not depth:
                return place + 1
    return len(text)


def _parts(text: str) -> list[str]:
    """What commas separate, but for commas in brackets and quotes."""
    parts, begin, at = [], 0, 0
    while at < len(text):
        if text[at] in CLOSING:
            at = _closed(text, at)
            continue
        if text[at] in "'\"":
            closing = text.find(text[at], at + 1)
            at = closing if closing > 0 else at
        elif text[at] == ",":
            parts.append(text[begin:at])
            begin = at + 1
        at += 1
    return [part for part in map(str.strip, (*parts, text[begin:])) if part]
