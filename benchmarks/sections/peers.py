"""The same job for everyone: how long does one position take?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmarks.contest import HERE, Contest, Entry, Pythons, Timing, ratio
from benchmarks.environments import CAPTUM, RELEASE
from benchmarks.report import Row, Section, Table

TITLE = "Peers"
SIZE, SQUARE, CIRCLE, OFFSET = 240, 20, 25, 20
BATCHES = (1, 2, 4, 8, 16)
NETWORK = {"kind": "unet"}

SQUARES = {
    "plain loop, by hand": "mean probability of the segment",
    "interpret-segmentation, whole images": "the same",
    "interpret-segmentation, incremental": "the same",
    "Captum Occlusion": "the same; the network wrapped to return one number",
    "Captum FeatureAblation": "the same; the network wrapped, squares as features",
    "MONAI OcclusionSensitivity": "the same; the network wrapped to return [B, 1]",
}
CIRCLES = {
    "plain loop, by hand": "circles; Hausdorff distance, SciPy's distance transform",
    "interpret-segmentation, whole images": "circles; Hausdorff distance",
    "interpret-segmentation, incremental": "circles; Hausdorff distance",
    "interpret-segmentation 1.0.0": "circles; its distance between rows; one image per forward",
    "Captum Occlusion": "squares, none over the edge; no distance: mean probability of the segment",
    "MONAI OcclusionSensitivity": "squares, none over the edge; no distance: mean probability of the segment",
}
"""What each one did, by the name in the table."""


def measure(contest: Contest) -> Section:
    """Squares side by side, which all can hide; then circles, which few can."""
    size, square, circle, offset = (120, 15, 15, 12) if contest.quick else (SIZE, SQUARE, CIRCLE, OFFSET)
    batches = (1, 4) if contest.quick else BATCHES

    def entry(contestant: str, home: Pythons = HERE, *, given: int, **settings: object) -> Entry:
        ours, alone = contestant.startswith("ours"), contestant.startswith("release")
        return Entry(
            contestant,
            (given,),
            NETWORK,
            size,
            settings,
            (None,) if ours or alone else batches,
            None if ours or alone else 4 * given,
            home,
        )

    def squares(contestant: str, home: Pythons = HERE, **settings: object) -> Entry:
        return entry(contestant, home, given=square, size=square, **settings)

    def circles(contestant: str, home: Pythons = HERE, **settings: object) -> Entry:
        return entry(contestant, home, given=offset, **settings)

    first = contest.compete(
        {
            "plain loop, by hand": squares("hand_squares"),
            "interpret-segmentation, whole images": squares("ours_squares", incremental=False),
            "interpret-segmentation, incremental": squares("ours_squares", incremental=True),
            "Captum Occlusion": squares("captum_occlusion", CAPTUM),
            "Captum FeatureAblation": squares("captum_feature_ablation", CAPTUM),
            "MONAI OcclusionSensitivity": squares("monai_occlusion"),
        },
        rounds=3,
    )
    second = contest.compete(
        {
            "plain loop, by hand": circles("hand_circles", circle_size=circle),
            "interpret-segmentation, whole images": circles(
                "ours_hdm", circle_size=circle, incremental=False
            ),
            "interpret-segmentation, incremental": circles("ours_hdm", circle_size=circle, incremental=True),
            "interpret-segmentation 1.0.0": circles("release_hdm", RELEASE, circle_size=circle),
            "Captum Occlusion": circles("captum_occlusion", CAPTUM, size=circle),
            "MONAI OcclusionSensitivity": circles("monai_occlusion", size=circle),
        },
        rounds=3,
    )
    settled = "Batch: the best of " + ", ".join(map(str, batches)) + "; ours and 1.0.0 choose themselves."
    tables = [
        Table(
            "squares",
            f"Squares of {square} px side by side, {size} px, U-Net of width 16 with 5 levels",
            rows(first, SQUARES),
            settled,
        ),
        Table(
            "circles",
            f"Circles of {circle} px every {offset} px, {size} px, the same network",
            rows(second, CIRCLES),
            settled,
        ),
    ]
    timings = {"squares": first, "circles": second}
    data = {kind: {name: one.as_data() for name, one in part.items()} for kind, part in timings.items()}
    return Section("peers", TITLE, tables, data)


def rows(timings: Mapping[str, Timing], did: Mapping[str, str]) -> list[Row]:
    """One for each contestant; the loop by hand is what the others are compared with."""
    by_hand = timings["plain loop, by hand"]
    table: list[Row] = []
    for name, timing in timings.items():
        row: Row = {"who": name}
        if timing.failure is None:
            row |= {
                "ms per position": 1000 * timing.each(),
                "speed against the loop": ratio(by_hand, timing),
                "positions": str(timing.counts[0]),
                "images at once": "" if timing.batch is None else str(timing.batch),
                "memory beyond the network (MiB)": timing.extra_mib,
                "largest difference to the loop": _difference(by_hand, timing),
            }
        table.append(row | {"what it did": timing.failure or did[name]})
    return table


def _difference(one: Timing, other: Timing) -> float | None:
    if one.values is None or other.values is None or len(one.values) != len(other.values):
        return None
    return float(np.abs(np.subtract(one.values, other.values)).max())
