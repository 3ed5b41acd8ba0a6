"""The plots of a campaign; runs in an environment of its own, with matplotlib."""

import json
import sys
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt

from bench.compare.report import WAITING, WORK, contestants, median

OURS, OTHERS, ENGINE = "#1f6feb", "#8b949e", "#d29922"
MEGABYTE = 1e6


def main() -> None:
    """Draw from a file of results into a folder."""
    results, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    figures = results["figures"]
    _work([each for each in figures if each["measurement"] == "in_flight"], folder / WORK, results)
    _waiting(figures, folder / WAITING, results)


def _work(entries: list[dict[str, Any]], path: Path, results: dict[str, Any]) -> None:
    if not entries:
        return
    sizes = sorted({each["size"] for each in entries if "size" in each})
    figure, axes = plt.subplots(1, 2 + len(sizes), figsize=(5 + 4.5 * (1 + len(sizes)), 4.2))
    names = contestants(entries)[::-1]
    titles = [title for _, title in names]
    colours = [OURS if name == "ours" else OTHERS for name, _ in names]
    added = [1000 * (median(entries, name, "added_seconds") or 0) for name, _ in names]
    axes[0].barh(titles, added, color=colours)
    axes[0].set_title("Added to one publication, ms")
    axes[0].set_xscale("symlog", linthresh=10)
    for place, size in zip(axes[1:], sizes, strict=False):
        rates = [median(entries, name, "per_second", size=size) for name, _ in names]
        bars = place.barh(titles, [rate or 0 for rate in rates], color=colours)
        place.set_title(f"Publications per second, {size} in flight")
        labels = ["not measured" if rate is None else f"{rate:.1f}" for rate in rates]
        place.bar_label(bars, labels, padding=3)
        place.margins(x=0.15)
        place.set_yticklabels([])
    worker = [median(entries, name, "worker_cpu_ms", size=sizes[0]) or 0 for name, _ in names]
    engine = [median(entries, name, "engine_cpu_ms", size=sizes[0]) or 0 for name, _ in names]
    axes[-1].barh(titles, worker, color=OURS, label="worker")
    axes[-1].barh(titles, engine, left=worker, color=ENGINE, label="engine")
    axes[-1].set_title(f"CPU ms a publication, {sizes[0]} in flight")
    axes[-1].set_yticklabels([])
    axes[-1].legend()
    _save(figure, path, results)


def _waiting(figures: list[dict[str, Any]], path: Path, results: dict[str, Any]) -> None:
    parked = [each for each in figures if each["measurement"] == "parked" and "memory" in each]
    scaling = [each for each in figures if each["measurement"] == "scaling" and "per_second" in each]
    if not parked and not scaling:
        return
    figure, (parking, workers) = plt.subplots(1, 2, figsize=(11, 4.2))
    for name, title in contestants(parked):
        mine = [each["memory"] for each in parked if each["contestant"] == name]
        measured = {int(count): memory for each in mine for count, memory in each.items()}
        counts = sorted(measured)
        colour = OURS if name == "ours" else OTHERS
        for part, style in (("worker", "-"), ("engine", "--")):
            values = [measured[count][part] / MEGABYTE for count in counts]
            parking.plot(counts, values, style, marker="o", color=colour, label=f"{title}, {part}")
    parking.set_xscale("symlog", linthresh=1000)
    parking.set_title("Memory by publications parked at the approval, MB")
    parking.set_ylim(bottom=0)
    if parked:
        parking.legend()
    workers.plot([each["workers"] for each in scaling], [each["per_second"] for each in scaling], "o-", color=OURS)
    workers.set_title("Publications per second by workers, ours")
    workers.set_ylim(bottom=0)
    workers.set_xticks([each["workers"] for each in scaling])
    _save(figure, path, results)


def _save(figure: Any, path: Path, results: dict[str, Any]) -> None:
    known = results["machine"]
    command, *more = results["command"].split("`")
    command += ", and more: see docs/benchmarks.md" if more else ""
    said = f"{command}\n{known['machine']}; {known['temporal']}; temporalio {known['temporalio']}"
    figure.text(0.01, 0.005, said, fontsize=7, color="#57606a")
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
