"""Tables, as data and as Markdown."""

from __future__ import annotations

import json
import math
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

import torch

Value: TypeAlias = str | float | bool | None
Row: TypeAlias = dict[str, Value]


@dataclass(frozen=True)
class Table:
    """Rows that share their columns.

    Attributes:
        name: By which the documentation asks for it.
        title: What it shows.
        rows: Column to value.
        note: Printed below.
    """

    name: str
    title: str
    rows: Sequence[Row]
    note: str = ""

    def markdown(self) -> str:
        """The table, its columns aligned."""
        fullest_first = sorted(self.rows, key=len, reverse=True)
        names = list(dict.fromkeys(name for row in fullest_first for name in row))
        cells = [names, *([cell(row.get(name)) for name in names] for row in self.rows)]
        widths = [max(len(line[place]) for line in cells) for place in range(len(names))]
        lines = [
            " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in cells
        ]
        rule = "-|-".join("-" * width for width in widths)
        table = "\n".join([f"| {lines[0]} |", f"|-{rule}-|", *(f"| {line} |" for line in lines[1:])])
        return "\n\n".join(part for part in (f"**{self.title}**", table, self.note) if part)


@dataclass(frozen=True)
class Section:
    """What one part of the benchmark found.

    Attributes:
        name: On the command line.
        title: Headline.
        tables: Its tables.
        timings: Everything that was measured, by name.
        machine: What it was measured on.
        command: What measured it.
        skipped: Why there is nothing.
    """

    name: str
    title: str
    tables: Sequence[Table] = ()
    timings: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    skipped: str | None = None

    def write(self, folder: Path) -> None:
        """Leave it as JSON."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(self), indent=1, default=float)
        (folder / f"{self.name}.json").write_text(text + "\n", encoding="utf-8")

    @staticmethod
    def read(path: Path) -> Section:
        """What `write` left."""
        content = json.loads(path.read_text(encoding="utf-8"))
        content["tables"] = [Table(**table) for table in content["tables"]]
        return Section(**content)

    def markdown(self) -> str:
        """All of it."""
        facts = ", ".join(f"{name}: {value}" for name, value in self.machine.items())
        parts = [f"## {self.title}", f"`{self.command}`; {facts}."]
        if self.skipped:
            return "\n\n".join([*parts, f"Skipped: {self.skipped}."])
        return "\n\n".join([*parts, *(table.markdown() for table in self.tables)])


def cell(value: Value) -> str:
    """A value as the reader wants it: three digits, yes or no, nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if abs(value) < 1e-3:
        return f"{value:.0e}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def goal(value: float, bound: float, *, at_most: bool = False) -> Row:
    """The two columns that say what was aimed at, and whether it was reached."""
    return {
        "goal": f"{'<=' if at_most else '>='} {bound:g}",
        "reached": value <= bound if at_most else value >= bound,
    }


def machine(threads: int) -> dict[str, Any]:
    """What the figures depend on; nothing that tells whose machine it is."""
    facts: dict[str, Any] = {"processor": _processor(), "cores": os.cpu_count(), "threads": threads}
    return facts | {
        "torch": torch.__version__,
        "Python": platform.python_version(),
        "system": platform.system(),
        "date": date.today().isoformat(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def write_overview(folder: Path, order: Sequence[str]) -> None:
    """README.md of a folder: every section that has a JSON file there."""
    sections = [Section.read(folder / f"{name}.json") for name in order if (folder / f"{name}.json").exists()]
    head = (
        "# Results of `make bench`\n\nOne process for each contestant, in turns; medians over rounds. "
        "`docs/speed.md` says what is measured. The JSON files beside this page hold every figure."
    )
    text = "\n\n".join([head, *(section.markdown() for section in sections)])
    (folder / "README.md").write_text(text + "\n", encoding="utf-8")


def write_into_page(page: Path, folder: Path) -> None:
    """Renew the tables of a page, each between ``<!-- table: section/name -->`` and ``<!-- end -->``."""

    def renewed(found: re.Match[str]) -> str:
        path = folder / f"{found['section']}.json"
        if not path.exists():
            return found[0]
        section = Section.read(path)
        texts = [table.markdown() for table in section.tables if table.name == found["table"]]
        if section.skipped:
            texts = [f"Skipped: {section.skipped}."]
        return "\n\n".join([found["head"], *texts, "<!-- end -->"])

    text = page.read_text(encoding="utf-8")
    marked = r"(?P<head><!-- table: (?P<section>\w+)/(?P<table>\w+) -->).*?<!-- end -->"
    page.write_text(re.sub(marked, renewed, text, flags=re.DOTALL), encoding="utf-8")
