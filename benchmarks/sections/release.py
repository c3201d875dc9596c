"""How many times faster than release 1.0.0?"""

from __future__ import annotations

from typing import Any

from benchmarks.contest import Contest, Entry, Timing, ratio
from benchmarks.environments import RELEASE
from benchmarks.report import Row, Section, Table, goal

TITLE = "Against release 1.0.0"
STANDARD = {"kind": "unet", "channels_last": False}
"""Its weights lie in memory as PyTorch makes them: what a user hands over."""

MASKS = 3000


def measure(contest: Contest) -> Section:
    """HDM and RISE with the settings of the documentation, and the memory that RISE needs."""
    data: dict[str, Any] = {}
    networks = {"U-Net, width 16, 5 levels": STANDARD, "the shipped network": contest.shipped()}
    table: list[Row] = []
    for size in (120,) if contest.quick else (240, 1024):
        for name, network in networks.items():
            if size > 240 and network is not STANDARD:
                continue
            timings = _hdm(contest, size, network)
            bound = {240: 3.0, 1024: 30.0}.get(size) if network is STANDARD else None
            table.append(_hdm_row(name, size, timings, bound))
            data[f"HDM, {name}, {size} px"] = {who: one.as_data() for who, one in timings.items()}
    for name, network in networks.items():
        size = 120 if contest.quick else 240
        timings = _rise(contest, size, network)
        table.append(_rise_row(name, size, timings, 4.0 if network is STANDARD else None))
        data[f"RISE, {name}, {size} px"] = {who: one.as_data() for who, one in timings.items()}
    memory, timings = _memory(contest)
    data["RISE, memory"] = {who: one.as_data() for who, one in timings.items()}
    note = (
        "Circles of 25 px every 5 px; 3000 masks, s = 8, p1 = 0.1, both merged maps. The same network, "
        "in evaluation mode and without gradients, in memory as PyTorch makes it or as the package ships it: "
        "we find out whether images with the channels last are faster. 1.0.0 explains the pixels "
        "whose probability is above the mean of the output, in this comparison we do too; it asks the "
        "network once more about every mask for each 1000 of them. "
        "Our HDM decides itself between whole images and windows, as it does for users."
    )
    tables = [
        Table("speed", TITLE, table, note),
        Table("memory", "Memory of RISE", memory),
    ]
    return Section("release", TITLE, tables, data)


def _hdm(contest: Contest, size: int, network: dict[str, Any]) -> dict[str, Timing]:
    circle = {"circle_size": 25}
    theirs, ours = ((80, 48), (20, 12)) if size < 1000 else ((1024, 512), (103, 79))
    return contest.compete(
        {
            "theirs": Entry("release_hdm", theirs, network, size, circle, home=RELEASE),
            "ours": Entry("ours_hdm", ours, network, size, circle, trial=size // 8),
        },
        rounds=3 if size < 1000 else 2,
    )


def _hdm_row(name: str, size: int, timings: dict[str, Timing], bound: float | None) -> Row:
    count = (-(-size // 5)) ** 2
    row: Row = {"method": "HDM", "network": name, "image (px)": str(size), "job": f"{count} circles"}
    failure = next((one.failure for one in timings.values() if one.failure), None)
    if failure:
        return row | {"remark": failure}
    theirs, ours = timings["theirs"], timings["ours"]
    faster = ratio(theirs, ours, count)
    inference = ours.facts["inference"]
    return row | {
        "1.0.0 (s)": theirs.whole(count),
        "ours (s)": ours.whole(count),
        "speed-up": faster,
        **({} if bound is None else goal(faster, bound)),
        "remark": "; ".join(
            part
            for part in (
                f"1.0.0 {theirs.extrapolated(count)}",
                ours.extrapolated(count) and f"ours {ours.extrapolated(count)}",
                f"ours {inference['path']}: {inference['because']}",
            )
            if part
        ),
    }


def _rise(contest: Contest, size: int, network: dict[str, Any]) -> dict[str, Timing]:
    few = contest.quick
    timings = contest.compete(
        {
            "theirs": Entry("release_rise", (4, 12) if few else (5, 20), network, size, home=RELEASE),
            "ours": Entry("ours_rise", (16, 64) if few else (32, 160), network, size, {"above_mean": True}),
        },
        rounds=3,
    )
    pixels = timings["ours"].facts.get("pixels", 1)
    merging = contest.compete(
        {"ours, maximum": Entry("ours_rise_maximum", (pixels,), {"kind": "nothing"}, size, {"masks": MASKS})},
        rounds=3,
    )
    return timings | merging


def _rise_row(name: str, size: int, timings: dict[str, Timing], bound: float | None) -> Row:
    theirs, ours, merging = timings["theirs"], timings["ours"], timings["ours, maximum"]
    pixels = int(ours.facts.get("pixels", 0))
    row: Row = {
        "method": "RISE",
        "network": name,
        "image (px)": str(size),
        "job": f"{MASKS} masks, {pixels} pixels",
    }
    failure = next((one.failure for one in timings.values() if one.failure), None)
    if failure:
        return row | {"remark": failure}
    theirs_whole, ours_whole = theirs.whole(MASKS), ours.whole(MASKS) + merging.whole(pixels)
    faster = theirs_whole / ours_whole
    return row | {
        "1.0.0 (s)": theirs_whole,
        "ours (s)": ours_whole,
        "speed-up": faster,
        **({} if bound is None else goal(faster, bound)),
        "remark": f"extrapolated from {theirs.counts[-1]} masks (1.0.0) and {ours.counts[-1]} (ours); "
        f"our maximum over all pixels measured with {MASKS}",
    }


def _memory(contest: Contest) -> tuple[list[Row], dict[str, Timing]]:
    """What RISE needs: measured where 1.0.0 fits, computed from its arrays where it does not."""
    large, small, few = (240, 120, 60) if contest.quick else (1024, 240, 60)
    masks = 200 if contest.quick else MASKS
    timings = contest.compete(
        {
            "1.0.0, few masks": Entry("release_rise", (few,), contest.shipped(), small, home=RELEASE),
            "ours, U-Net": Entry("ours_rise", (8,), STANDARD, large, {"merge": "max"}),
            "ours, all masks": Entry("ours_rise", (masks,), {"kind": "nothing"}, large, trial=8),
            "ours, maximum": Entry(
                "ours_rise_maximum", (1024,), {"kind": "nothing"}, large, {"masks": masks}
            ),
        },
        rounds=1,
    )
    rows: list[Row] = []
    release = timings["1.0.0, few masks"]
    if release.failure is None:
        pixels = release.facts["pixels"]
        rows.append(
            {
                "who": "1.0.0",
                "image (px)": str(small),
                "job": f"{few} masks, {pixels} pixels",
                "memory beyond the network (MiB)": release.extra_mib,
                "how": f"measured; its arrays have {_arrays(few, pixels, small):,.0f} MiB",
            }
        )
    pixels = int(0.05 * large**2)
    rows.append(
        {
            "who": "1.0.0",
            "image (px)": str(large),
            "job": f"{masks} masks, {pixels} pixels",
            "memory beyond the network (MiB)": _arrays(masks, pixels, large),
            "how": "computed from its arrays: masks, masked images, a map for each pixel",
        }
    )
    ours = {name: timings[name] for name in ("ours, U-Net", "ours, all masks", "ours, maximum")}
    measured = [one.extra_mib for one in ours.values() if one.extra_mib is not None]
    if measured:
        rows.append(
            {
                "who": "ours",
                "image (px)": str(large),
                "job": f"{masks} masks, {ours['ours, all masks'].facts.get('pixels')} pixels",
                "memory beyond the network (MiB)": max(measured),
                "goal": "< 2048",
                "reached": max(measured) < 2048,
                "how": "measured, the largest of: 8 masks with the U-Net and their maximum; all masks with a "
                "network that costs nothing; the maximum over all masks for 1024 pixels at a time",
            }
        )
    return rows, timings


def _arrays(masks: int, pixels: int, size: int) -> float:
    """MiB of what 1.0.0 holds at its worst.

    When masks are drawn, they are there as float64 and as float32. When they are used, as float32 beside the
    masked images; and the maps of all pixels, once in parts and once put together.
    """
    drawing, using = masks * (8 + 4), masks * (4 + 4) + pixels * (4 + 4)
    return size**2 * max(drawing, using) / 2**20
