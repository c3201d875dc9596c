"""The report: one HTML file to look at explanations, to click into them, and to send around."""

from interpret_segmentation.show.reports.content import Entry
from interpret_segmentation.show.reports.document import page, report, write_report

__all__ = ["Entry", "page", "report", "write_report"]
