"""The documented job on a GPU."""

from __future__ import annotations

from benchmarks.contest import Contest, Entry, Timing, ratio
from benchmarks.environments import RELEASE
from benchmarks.report import Row, Section, Table, goal

TITLE = "The documented job on a GPU"
NETWORK = {"kind": "unet", "width": 64}
SIZE, POSITIONS, MASKS = 240, 2304, 3000
BATCHES = (16, 32, 64, 128)


def measure(contest: Contest) -> Section:
    """U-Net of full width, 2304 circles and 3000 masks."""
    circle = {"circle_size": 25}
    timings = contest.compete(
        {
            "forwards": Entry("forwards", (POSITIONS,), NETWORK, SIZE, batches=BATCHES, trial=512),
            "HDM, whole images": Entry("ours_hdm", (5,), NETWORK, SIZE, circle | {"incremental": False}),
            "HDM": Entry("ours_hdm", (5,), NETWORK, SIZE, circle),
            "HDM of 1.0.0": Entry("release_hdm", (40, 10), NETWORK, SIZE, circle, home=RELEASE),
            "RISE": Entry("ours_rise", (MASKS,), NETWORK, SIZE, {"merge": "max", "above_mean": True}),
            "RISE of 1.0.0": Entry("release_rise", (30, 90), NETWORK, SIZE, home=RELEASE),
        },
        rounds=3,
    )
    plain = timings["forwards"]
    table = [
        _row("HDM, whole images", timings["HDM, whole images"], POSITIONS, plain, timings["HDM of 1.0.0"]),
        _row("HDM", timings["HDM"], POSITIONS, plain, timings["HDM of 1.0.0"]),
        _row("RISE, maximum", timings["RISE"], MASKS, plain, timings["RISE of 1.0.0"]),
    ]
    note = (
        f"U-Net of width 64 with 5 levels, {SIZE} px, {POSITIONS} circles of 25 px or {MASKS} masks. Goals: "
        "at most 3 s, at most 1.1 times the plain forwards, at least 15 times as fast as 1.0.0 on the same "
        "card, which is extrapolated from a few positions and masks."
    )
    data = {name: one.as_data() for name, one in timings.items()}
    return Section("gpu", TITLE, [Table("gpu", TITLE, table, note)], data)


def _row(name: str, own: Timing, count: int, plain: Timing, release: Timing) -> Row:
    row: Row = {"method": name}
    if own.failure or plain.failure:
        return row | {"remark": own.failure or plain.failure}
    seconds, overhead = own.whole(count), ratio(own, plain, count)
    row |= {"ours (s)": seconds, "within 3 s": goal(seconds, 3, at_most=True)["reached"]}
    row |= {"overhead": overhead, "within 1.1": goal(overhead, 1.1, at_most=True)["reached"]}
    if release.failure:
        return row | {"remark": release.failure}
    faster = ratio(release, own, count)
    return row | {
        "1.0.0 (s)": release.whole(count),
        "speed-up": faster,
        "at least 15": goal(faster, 15)["reached"],
    }
