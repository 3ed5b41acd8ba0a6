"""Draw the measurements of `bench.frontier`. This runs in its own environment, the only one with matplotlib."""

import importlib
import json
import sys
from typing import Any

MINUTE = 60

PANELS = (
    ("worst", MINUTE, "news is late at worst by (minutes)"),
    ("mean", MINUTE, "news is late on average by (minutes)"),
    ("relative", 0.01, "late at worst by (% of a wait of 5 minutes or more)"),
)


COLOURS = {
    "fixed": "dimgrey",
    "1 of the wait": "tab:blue",
    "root of the wait": "tab:orange",
    "back-off x 2": "tab:green",
}


def main() -> None:
    matplotlib: Any = importlib.import_module("matplotlib")
    matplotlib.use("agg")
    plot: Any = importlib.import_module("matplotlib.pyplot")
    points = json.load(sys.stdin)
    figure, axes = plot.subplots(1, len(PANELS), figsize=(15, 4.8), layout="constrained")
    for axis, (member, unit, label) in zip(axes, PANELS, strict=True):
        for family, found in points["curves"].items():
            ours = family.startswith("ours")
            axis.plot(
                [each["looks"] for each in found],
                [each[member] / unit for each in found],
                marker="o",
                markersize=3.5,
                linewidth=2.2 if ours else 1.1,
                linestyle="-" if ours else "--",
                color="crimson" if ours else COLOURS[family],
                zorder=3 if ours else 2,
                label=family,
            )
        default = points["default"]
        axis.plot(default["looks"], default[member] / unit, "*", color="crimson", markersize=16, zorder=4)
        axis.annotate(
            "the default", (default["looks"], default[member] / unit), textcoords="offset points", xytext=(9, 6)
        )
        axis.set(xscale="log", yscale="log", xlabel="looks a publication", ylabel=label)
        axis.grid(visible=True, which="both", alpha=0.25)
    looks = [each["looks"] for found in points["curves"].values() for each in found]
    ends = [min(looks), max(looks)]
    axes[0].plot(ends, [points["hours"] * 60 / end for end in ends], color="black", linewidth=0.8, label="the fewest")
    axes[0].legend(fontsize=8)
    figure.suptitle("Looks a publication, and how late the end of a step is seen: lower and further left is better")
    figure.savefig(sys.argv[1], dpi=110)


if __name__ == "__main__":
    main()
