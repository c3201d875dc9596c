"""The testnet benchmark: which methods show what made the network draw the segment?

On testnet the cause of every segment is known: the deciding shape, far away. A method, of this package or of
another, is judged by whether its map shows that shape.
"""

from interpret_segmentation.benchmark.contestants import (
    baselines,
    circles,
    defaults,
    documented,
    everybody,
    improved,
    rise,
)
from interpret_segmentation.benchmark.entering import Contestant, as_contestants
from interpret_segmentation.benchmark.outsiders import captum
from interpret_segmentation.benchmark.rows import FIGURES, Row, read_rows
from interpret_segmentation.benchmark.running import SEED, benchmark
from interpret_segmentation.benchmark.summary import Difference, Summary, summarised
from interpret_segmentation.benchmark.truth import Measured, Truth, Truths, measure_truth

opponents = baselines
"""What `baselines` was called before."""

__all__ = [
    "FIGURES",
    "SEED",
    "Contestant",
    "Difference",
    "Measured",
    "Row",
    "Summary",
    "Truth",
    "Truths",
    "as_contestants",
    "baselines",
    "benchmark",
    "captum",
    "circles",
    "defaults",
    "documented",
    "everybody",
    "improved",
    "measure_truth",
    "opponents",
    "read_rows",
    "rise",
    "summarised",
]
