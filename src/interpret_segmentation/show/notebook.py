"""What a notebook shows of an explanation."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass

from interpret_segmentation.results.explanation import Explanation
from interpret_segmentation.show.explanations import figure
from interpret_segmentation.show.reports import Entry, page
from interpret_segmentation.show.reports.words import words


def in_notebook(explanation: Explanation) -> str:
    """A small picture with its caption, as HTML."""
    drawn = figure(explanation)
    picture = io.BytesIO()
    drawn.savefig(picture, format="png", dpi=72)
    data = base64.b64encode(picture.getvalue()).decode("ascii")
    name = html.escape(repr(explanation), quote=True)
    return (
        f'<figure style="margin:0"><img src="data:image/png;base64,{data}" alt="{name}" '
        'style="max-width:100%">'
        f"<figcaption>{html.escape(words(explanation))} <code>.frame()</code> shows a report to click into."
        "</figcaption></figure>"
    )


@dataclass(frozen=True)
class Frame:
    """A page inside a notebook.

    Attributes:
        page: Its HTML.
        height: Of the frame, in pixels.
    """

    page: str
    height: int

    def __repr__(self) -> str:
        return f"Frame({len(self.page) / 2**20:.1f} MB, height={self.height})"

    def _repr_html_(self) -> str:
        content = html.escape(self.page, quote=True)
        return (
            f'<iframe srcdoc="{content}" sandbox="allow-scripts" title="report" '
            f'style="width:100%;height:{self.height}px;border:1px solid #ccc;border-radius:6px"></iframe>'
        )


def frame(explanation: Explanation, *, height: int = 800) -> Frame:
    """The report of an explanation, for the last line of a notebook's cell.

    Args:
        explanation: What to show.
        height: Of the frame, in pixels.
    """
    return Frame(page([Entry(explanation, "image 1")]), int(height))
