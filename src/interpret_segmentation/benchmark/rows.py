"""The benchmark's file: one row for each image and map, added as they come."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interpret_segmentation._files import write_whole
from interpret_segmentation._types import PathLike
from interpret_segmentation.evaluate.metrics import METRICS

__all__ = ["FIGURES", "Row", "RowFile", "read_rows"]

FIGURES = {
    name: f"{what}, {METRICS[name].reading('sharper' if name == 'edge_width' else 'better')}"
    for name, what in {
        "cue_auc": "chance that a pixel of the deciding shape outranks the background",
        "cue_hit": "does the strongest pixel of the context lie on the deciding shape",
        "cue_mass": "share of the positive relevance on the deciding shape",
        "distractor_mass": "share of the positive relevance on the distractor",
        "segment_mass": "share of the positive relevance on the segment",
        "segment_hit": "does the strongest pixel of all lie on the segment",
        "cue_auc_others": "chance that a pixel of the deciding shape outranks one of the other shapes",
        "power_rank": "share of the power, measured by intervention, on the map's highest pixels, of the "
        "most that can be",
        "power_hit": "does the strongest pixel of the context lie within 5 pixels of a powerful one",
        "power_within": "chance that a powerful pixel of the deciding shape outranks another of it",
        "contrast_rank": "the power rank, for what decides between the two deciding shapes",
        "claimed": "the largest value in the context where nothing there has an effect, in the map's unit",
        "edge_width": "pixels over which the map falls at the deciding shape's edge",
        "deletion": "area under the deletion curve of the target's probability",
        "insertion": "area under the insertion curve of the target's probability",
    }.items()
} | {
    "backwards": "images that were differentiated; maps of one run share them",
    "forwards": "images that the network was asked about; maps of one run share them",
    "seconds": "what the run took, which its maps share",
}
"""What is measured of every map, and how it is read: metrics of `METRICS`, and what the map cost."""

KEYS = ("variant", "image", "method")
COLUMNS = (*KEYS, "network", *FIGURES)


@dataclass(frozen=True)
class Row:
    """What was measured of one map.

    Attributes:
        variant: Of the data set.
        image: Number of the scene.
        method: Name of the map.
        figures: By the names in `FIGURES`; NaN or missing where there is none.
        network: Name of the network. Empty: the one that is called after the variant, or the user's own.
    """

    variant: str
    image: int
    method: str
    figures: Mapping[str, float]
    network: str = ""

    @property
    def key(self) -> tuple[str, int, str, str]:
        """Variant, image, method and network."""
        return self.variant, self.image, self.method, self.network


class RowFile:
    """A CSV file that grows; a run that was interrupted goes on where it stopped.

    Beside it lies a JSON file with the settings that the rows were made with; others are refused.

    Args:
        path: The CSV file.
        settings: What made the rows.

    Raises:
        ValueError: The rows in the file were made with other settings, or it is another file.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        beside, said = path.with_suffix(".json"), json.dumps(settings, indent=1, sort_keys=True)
        if path.exists():
            before = beside.read_text(encoding="utf-8") if beside.exists() else "not told"
            if before.strip() != said:
                raise ValueError(
                    f"the rows in {path} were made with other settings ({_in_one_line(before)}) than these "
                    f"({_in_one_line(said)}); choose another folder, or remove both files"
                )
            self._cut_what_is_unfinished()
            self._take_new_columns()
            return
        beside.write_text(said + "\n", encoding="utf-8")
        path.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")

    def rows(self) -> Sequence[Row]:
        """What is there already; see `read_rows`."""
        return read_rows(self.path)

    def add(self, rows: Iterable[Row]) -> None:
        """Write some rows at once."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        for row in rows:
            figures = [row.figures.get(name) for name in FIGURES]
            writer.writerow([row.variant, row.image, row.method, row.network, *map(_cell, figures)])
        with self.path.open("a", encoding="utf-8", newline="") as file:
            file.write(text.getvalue())

    def _take_new_columns(self) -> None:
        """Write a file of an earlier version anew, with the figures that were not there yet left empty."""
        with self.path.open(encoding="utf-8", newline="") as file:
            if next(csv.reader(file), None) == list(COLUMNS):
                return
        rows = read_rows(self.path)
        with write_whole(self.path) as unfinished:
            renewed = RowFile.__new__(RowFile)
            renewed.path = unfinished
            unfinished.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
            renewed.add(rows)

    def _cut_what_is_unfinished(self) -> None:
        """Take off a last line that was not written to its end."""
        content = self.path.read_bytes()
        if not content.endswith(b"\n"):
            with write_whole(self.path) as unfinished:
                unfinished.write_bytes(content[: content.rfind(b"\n") + 1])


def _cell(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.6g}"


def _in_one_line(text: str) -> str:
    return " ".join(text.split())


def read_rows(path: PathLike) -> Sequence[Row]:
    """The rows of a file; of two that say the same variant, image, method and network the later.

    Files of earlier versions have fewer figures, and no network.

    Raises:
        ValueError: It has other columns, or a line that is no row.
    """
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        columns = tuple(reader.fieldnames or ())
        known = columns[: len(KEYS)] == KEYS and set(columns) <= set(COLUMNS)
        if not known or len(set(columns)) < len(columns):
            raise ValueError(
                f"{path} is no file of the benchmark: its first line should be {','.join(COLUMNS)}"
            )
        rows = {}
        for line in reader:
            try:
                row = _as_row(line)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {reader.line_num}, is no row: {error}") from None
            rows[row.key] = row
        return list(rows.values())


def _as_row(line: Mapping[str | None, Any]) -> Row:
    """One line by its columns."""
    if None in line or None in line.values():
        raise ValueError("it has another number of cells than the first line")
    return Row(
        line["variant"],
        int(line["image"]),
        line["method"],
        {name: float(line[name]) for name in FIGURES if line.get(name)},
        line.get("network", ""),
    )
