"""The testnet benchmark: who sees what made the network draw the segment?

On testnet the cause of every segment is known: the deciding shape, far away. So every method can be judged,
ours and others', by whether its map shows it.
"""

from interpret_segmentation.benchmark.contestants import (
    circles,
    defaults,
    documented,
    everybody,
    improved,
    opponents,
    rise,
)
from interpret_segmentation.benchmark.entering import Contestant, as_contestants
from interpret_segmentation.benchmark.outsiders import captum
from interpret_segmentation.benchmark.rows import FIGURES, Row, read_rows
from interpret_segmentation.benchmark.running import SEED, benchmark
from interpret_segmentation.benchmark.summary import Summary, summarised

__all__ = [
    "FIGURES",
    "SEED",
    "Contestant",
    "Row",
    "Summary",
    "as_contestants",
    "benchmark",
    "captum",
    "circles",
    "defaults",
    "documented",
    "everybody",
    "improved",
    "opponents",
    "read_rows",
    "rise",
    "summarised",
]
