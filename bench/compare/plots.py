"""The plots of a campaign; runs in an environment of its own, with matplotlib."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt

from bench.compare.figures import Entry, Results, rounds_of
from bench.compare.report import MEGABYTE, WAITING, WORK

OURS, OTHERS, ENGINE = "#1f6feb", "#8b949e", "#d29922"


def main() -> None:
    """Draw from a file of results into a folder."""
    results, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    _work(results, folder / WORK)
    _waiting(results, folder / WAITING)


def _work(results: Results, path: Path) -> None:
    many, single = rounds_of(results, "in_flight"), rounds_of(results, "single")
    sizes = sorted({each["size"] for each in many.entries})
    figure, axes = plt.subplots(1, 2 + len(sizes), figsize=(5 + 4.5 * (1 + len(sizes)), 4.2))
    names = many.contestants()[::-1]
    titles = [title for _, title in names]
    colours = [OURS if name == "ours" else OTHERS for name, _ in names]
    axes[0].barh(titles, [single.of(name).median("added_ms") or 0 for name, _ in names], color=colours)
    axes[0].set_title("Added to one publication, ms")
    axes[0].set_xscale("symlog", linthresh=10)
    for place, size in zip(axes[1:], sizes, strict=False):
        rates = [many.where(contestant=name, size=size).median("per_second") for name, _ in names]
        bars = place.barh(titles, [rate or 0 for rate in rates], color=colours)
        place.set_title(f"Publications per second, {size} in flight")
        labels = ["not measured" if rate is None else f"{rate:.1f}" for rate in rates]
        place.bar_label(bars, labels, padding=3)
        place.margins(x=0.15)
        place.set_yticklabels([])
    first = many.where(size=sizes[0])
    worker, engine = (
        [first.of(name).median(part) or 0 for name, _ in names] for part in ("worker_cpu_ms", "engine_cpu_ms")
    )
    axes[-1].barh(titles, worker, color=OURS, label="worker")
    axes[-1].barh(titles, engine, left=worker, color=ENGINE, label="engine")
    axes[-1].set_title(f"CPU ms a publication, {sizes[0]} in flight")
    axes[-1].set_yticklabels([])
    axes[-1].legend()
    _save(figure, path, results)


def _waiting(results: Results, path: Path) -> None:
    parked = rounds_of(results, "parked")
    figure, parking = plt.subplots(figsize=(6, 4.2))
    for name, title in parked.contestants():
        mine = parked.of(name)
        counts = sorted(map(int, mine.entries[0]["memory"]))
        colour = OURS if name == "ours" else OTHERS
        for part, style in (("worker", "-"), ("engine", "--")):
            values = [mine.median(partial(_megabytes, count=str(count), part=part)) for count in counts]
            parking.plot(counts, values, style, marker="o", color=colour, label=f"{title}, {part}")
    parking.set_title("Memory by publications that wait for approval, MB")
    parking.set_ylim(bottom=0)
    parking.legend()
    _save(figure, path, results)


def _megabytes(entry: Entry, *, count: str, part: str) -> float:
    return float(entry["memory"][count][part] / MEGABYTE)


def _save(figure: Any, path: Path, results: Results) -> None:
    known = results["machine"]
    said = f"{results['command']}\n{known['machine']}; {known['temporal']}; temporalio {known['temporalio']}"
    figure.text(0.01, 0.005, said, fontsize=7, color="#57606a")
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
