"""How much longer does an explanation take than the forwards it needs?"""

from __future__ import annotations

from benchmarks.contest import Contest, Entry, Timing, ratio
from benchmarks.report import Row, Section, Table, goal

TITLE = "Overhead over plain forwards"
NETWORK = {"kind": "unet"}
MASKS = 3000
SHARE = 0.05
"""Of the image's pixels that the maximum of RISE explains."""


def measure(contest: Contest) -> Section:
    """HDM with whole images, and RISE with both merged maps, at two sizes."""
    table: list[Row] = []
    data = {}
    for size in (120,) if contest.quick else (240, 1024):
        small = size < 1000
        images, first = (460, 300) if small else (8, 2)
        offsets = (-(-size // 18), -(-size // 22)) if small else (size, -(-size // 3))
        if contest.quick:
            images, first, offsets = 60, 20, (size // 4, size // 8)
        pixels = int(SHARE * size**2)
        merged = (pixels // 8, pixels // 4) if small else (512, 1024)
        masks = 300 if contest.quick else MASKS
        timings = contest.compete(
            {
                "forwards": Entry(
                    "forwards",
                    (first if small else images,),
                    NETWORK,
                    size,
                    batches=(1, 2, 4, 8) if small else (1, 2),
                    trial=32 if small else None,
                ),
                "HDM": Entry(
                    "ours_hdm",
                    offsets,
                    NETWORK,
                    size,
                    {"circle_size": 25, "incremental": False},
                    trial=size // 4,
                ),
                "RISE": Entry("ours_rise", (first, images), NETWORK, size, trial=first // 10 or 1),
            },
            rounds=3,
        )
        merging = contest.compete(
            {
                "maximum": Entry("ours_rise_maximum", merged, {"kind": "nothing"}, size, {"masks": masks}),
                "mean": Entry("ours_rise_maximum", (1,), {"kind": "nothing"}, size, {"masks": masks}),
            },
            rounds=3,
        )
        plain, rise = timings["forwards"], timings["RISE"]
        positions = (-(-size // 5)) ** 2
        forwards = plain.each() * masks
        merges = {"mean": merging["mean"].each(), "maximum": merging["maximum"].whole(pixels)}
        table.append(
            _row("HDM, whole images", size, f"{positions} circles", plain, timings["HDM"], positions, 1.05)
        )
        for name, seconds in merges.items():
            bound = 1.05 if small else 1.25
            overhead = ratio(rise, plain, masks) + seconds / forwards
            table.append(
                {
                    "method": f"RISE, {name}",
                    "image (px)": str(size),
                    "job": f"{masks} masks" + (f", {pixels} pixels" if name == "maximum" else ""),
                    "plain forwards (s)": forwards,
                    "explanation (s)": rise.whole(masks) + seconds,
                    "ratio": overhead,
                    **goal(overhead, bound, at_most=True),
                    "measured on": f"{images} masks"
                    + (f", {merged[-1]} pixels" if name == "maximum" else ""),
                }
            )
        data[str(size)] = {name: one.as_data() for name, one in (timings | merging).items()}
    note = (
        "U-Net of width 16 with 5 levels. Plain forwards: nothing but the network, on ready batches of the "
        "best size. The explanation hides, asks, measures and merges. All jobs are extrapolated from what "
        "the last column says."
    )
    return Section("overhead", TITLE, [Table("overhead", TITLE, table, note)], data)


def _row(method: str, size: int, job: str, plain: Timing, own: Timing, count: int, bound: float) -> Row:
    overhead = ratio(own, plain, count)
    return {
        "method": method,
        "image (px)": str(size),
        "job": job,
        "plain forwards (s)": plain.each() * count,
        "explanation (s)": own.whole(count),
        "ratio": overhead,
        **goal(overhead, bound, at_most=True),
        "measured on": f"{own.counts[-1]} circles",
    }
