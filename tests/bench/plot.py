"""Makes a picture and a table of what `bench.py --json FILE` measured.

`python plot.py FILE [SVG]` writes the picture and prints the table in Markdown.
"""

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "bridge", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3})

import matplotlib.pyplot as plt  # noqa: E402 - after its backend is chosen
from matplotlib.axes import Axes  # noqa: E402

_PICTURE = Path(__file__).resolve().parent.parent.parent / "docs" / "performance.svg"
_COLOURS = {"limit": "#7f7f7f", "afternoon": "#d98c3f", "bridge": "#2a6fb0"}
_NAMES = {"limit": "(a) bare relay", "afternoon": "(b) afternoon's script", "bridge": "(c) the bridge"}

Measured = dict[str, Any]


def throughput(axes: Axes, results: Measured) -> None:
    kinds = list(results)
    for index, (program, name) in enumerate(_NAMES.items()):
        shown = [(place, results[kind][program]["per_second"]) for place, kind in enumerate(kinds)]
        shown = [(place, speeds) for place, speeds in shown if speeds]
        middle = [median(speeds) for _, speeds in shown]
        low = [median(speeds) - min(speeds) for _, speeds in shown]
        high = [max(speeds) - median(speeds) for _, speeds in shown]
        places = [place + (index - 1) * 0.27 for place, _ in shown]
        axes.bar(places, middle, 0.25, yerr=(low, high), label=name, color=_COLOURS[program], capsize=2)
        for place, speed in zip(places, middle, strict=True):
            axes.text(place, speed * 1.3, f"{speed:,.0f}", ha="center", fontsize=7)
    axes.set_xticks(range(len(kinds)), [f"{kind}\n{results[kind]['body_bytes'] / 1000:,.0f} KB" for kind in kinds])
    axes.set_yscale("log")
    axes.set_ylim(10, 100_000)
    axes.set_ylabel("messages a second")
    axes.set_title("Draining a full queue: median, lowest to highest")
    axes.legend(fontsize=7, loc="upper right")


def latency(axes: Axes, results: Measured) -> None:
    for kind, colour in (("orders", "#2a6fb0"), ("objects", "#4a9b5f")):
        loads = results[kind]["loads"]
        parts = [float(part) * 100 for part in loads]
        axes.plot(parts, [p99 * 1000 for _, p99 in loads.values()], "o-", color=colour, label=f"{kind}, p99")
        axes.plot(parts, [p50 * 1000 for p50, _ in loads.values()], "o--", color=colour, label=f"{kind}, p50")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("load, % of what the bridge drains")
    axes.set_ylabel("ms from publish to event")
    axes.set_title("Latency of the bridge against load")
    axes.legend(fontsize=7)


def stored(axes: Axes, sizes: Measured) -> None:
    counts = [int(size) for size in sizes]
    middle = [median(found["cpu_per_message"]) * 1000 for found in sizes.values()]
    axes.plot(counts, middle, "o-", color=_COLOURS["bridge"])
    axes.set_xscale("log")
    axes.set_ylim(0, max(middle) * 1.5)
    axes.set_xlabel("orders in the store")
    axes.set_ylabel("ms of processor time a message")
    axes.set_title("Cost against what is stored")


def table(said: Measured) -> list[str]:
    """The issue's targets with what was measured, as rows of Markdown."""
    results, rows = said["results"], []

    def row(what: str, target: str, found: str) -> None:
        rows.append(f"| {what} | {target} | {found} |")

    def spread(values: list[float], form: str) -> str:
        return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"

    for kind, name, times, part in (("orders", "orders", "40", "0.15"), ("objects", "CT_small", "3", "0.25")):
        row(f"{name}, (c)/(b)", times, spread(results[kind]["times"], ".1f"))
        row(f"{name}, (c)/(a)", part, spread(results[kind]["ratio"], ".3f"))
    for kind in list(results)[2:]:
        row(f"{kind}, (c)/(a)", "", spread(results[kind]["ratio"], ".3f"))
    for kind in ("orders", "objects"):
        limit, ours = results[kind]["limit"]["p99"], results[kind]["bridge"]["p99"]
        found = f"{ours * 1000:.0f} ms, (a) at the same load {limit * 1000:.0f} ms"
        row(f"{kind}, p99 at half of the maximum load", "100 ms", found)
    if sizes := list(said["stored"].values()):
        pairs = zip(sizes[0]["per_second"], sizes[-1]["per_second"], strict=True)
        row("1 million orders stored against 10 thousand", "0.8", spread([b / a for a, b in pairs], ".2f"))
    if late := said["late"]:
        ratios = [ours / bare for ours, bare in zip(late["seconds"], late["bare_seconds"], strict=True)]
        row("late order of a 5,000-object study, against publishing bare", "at most 3", spread(ratios, ".1f"))
    peaks = [peak for found in results.values() for peak in found["bridge"]["peak_memory"]]
    peaks += said["late"]["peak_memory"] if said["late"] else []
    row("peak memory of a process", "250 MB", f"{max(peaks) / 1e6:.0f} MB")
    for kind, found in said["processes"].items():
        ratios = [
            two / one
            for one, two in zip(found["PostgreSQL, 1"]["per_second"], found["PostgreSQL, 2"]["per_second"], strict=True)
        ]
        row(f"PostgreSQL, two processes against one, {kind}", "1.4", spread(ratios, ".2f"))
    return ["| | target | measured |", "|---|---|---|", *rows]


def main() -> None:
    said = json.loads(Path(sys.argv[1]).read_text())
    rows = 3 if said["stored"] else 2
    figure, panels = plt.subplots(rows, 1, figsize=(7, 3.4 * rows), layout="constrained")
    throughput(panels[0], said["results"])
    latency(panels[1], said["results"])
    if said["stored"]:
        stored(panels[2], said["stored"])
    figure.savefig(Path(sys.argv[2]) if len(sys.argv) > 2 else _PICTURE, metadata={"Date": None}, facecolor="white")
    print("\n".join(table(said)))


if __name__ == "__main__":
    main()
