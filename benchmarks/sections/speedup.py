"""How many times faster are windows than whole images?"""

from __future__ import annotations

from typing import Any

from benchmarks.contest import Contest, Entry, Timing, ratio
from benchmarks.report import Row, Section, Table, goal

TITLE = "Incremental against whole images"
NETWORKS: dict[str, tuple[dict[str, Any], dict[int, float]]] = {
    "U-Net, 3 levels, nearest": ({"kind": "unet", "levels": 3, "up": "nearest"}, {240: 8, 512: 15, 1024: 60}),
    "U-Net, 4 levels, nearest": ({"kind": "unet", "levels": 4, "up": "nearest"}, {240: 4, 512: 12, 1024: 30}),
    "U-Net, 5 levels, nearest": ({"kind": "unet", "up": "nearest"}, {240: 1.8, 512: 5, 1024: 12}),
    "U-Net, 5 levels, bilinear": ({"kind": "unet", "up": "bilinear"}, {240: 1.8, 512: 5, 1024: 12}),
    "U-Net, 5 levels, align_corners": ({"kind": "unet", "up": "align_corners"}, {240: 1.3, 512: 4, 1024: 11}),
    "U-Net, 5 levels, transposed": ({"kind": "unet"}, {}),
    "like DeepLab, dilated": ({"kind": "dilated"}, {}),
    "residual": ({"kind": "residual"}, {}),
    "MONAI BasicUNet": ({"kind": "monai_basic_unet"}, {}),
}
"""The network, and the goal for each image size."""

AMOUNTS = {
    240: ((80, 40), (20, 14)),
    512: ((256, 171), (32, 22)),
    1024: ((1024, 512), (64, 40)),
}
"""Offsets between circles, fewer and more of them: for whole images, and for windows."""


COMPARED = 512
"""The image size at which networks without a goal are measured."""


def measure(contest: Contest) -> Section:
    """Every network at every size."""
    table: list[Row] = []
    data: dict[str, Any] = {}
    sizes = (240,) if contest.quick else (240, 512, 1024)
    networks = list(NETWORKS.items())
    for size in sizes:
        for name, (network, goals) in networks[:2] if contest.quick else networks:
            if not goals and size != COMPARED:
                continue
            whole, windows = AMOUNTS[size]
            circle = {"circle_size": 25}
            few = {"batches": (1, 2, 4), "trial": 30} if size < COMPARED else {"trial": size // 4}
            timings = contest.compete(
                {
                    "whole": Entry("ours_hdm", whole, network, size, circle | {"incremental": False}, **few),
                    "windows": Entry(
                        "ours_hdm", windows, network, size, circle | {"incremental": True}, **few
                    ),
                },
                rounds=3 if goals and size < 1000 else 2 if goals else 1,
            )
            table.append(_row(name, size, timings, goals.get(size)))
            data[f"{name}, {size} px"] = {way: timing.as_data() for way, timing in timings.items()}
    note = (
        "HDM with circles of 25 px. A position: what one more circle costs, the Hausdorff distance included. "
        "The whole job has a circle every 5 px, and what is done once for each image: recording the "
        "activations, and trying both ways. It is extrapolated."
    )
    return Section("speedup", TITLE, [Table("speedup", TITLE, table, note)], data)


def _row(name: str, size: int, timings: dict[str, Timing], bound: float | None) -> Row:
    row: Row = {"network": name, "image (px)": str(size)}
    whole, windows = timings["whole"], timings["windows"]
    if whole.failure or windows.failure:
        return row | {"remark": whole.failure or windows.failure}
    job = (-(-size // 5)) ** 2
    faster = ratio(whole, windows)
    inference = windows.facts["inference"]
    row |= {
        "whole image (ms per position)": 1000 * whole.each(),
        "windows (ms per position)": 1000 * windows.each(),
        "speed-up": faster,
        **({} if bound is None else goal(faster, bound)),
        "speed-up of the whole job": ratio(whole, windows, job),
        "activations (MiB)": inference.get("activations_mib"),
    }
    if inference["path"] != "incremental":
        row["remark"] = f"asked whole images: {inference['because']}"
    return row
