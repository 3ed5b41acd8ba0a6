"""The tables of a campaign, and their place in ``docs/benchmarks.md``."""

import statistics
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from bench.compare.environments import python_of
from bench.processes import ROOT

Results: TypeAlias = dict[str, Any]
Entry: TypeAlias = dict[str, Any]

BEGIN, END = "<!-- from here: made by make bench -->", "<!-- to here: made by make bench -->"
WORK, WAITING = "benchmark-work.png", "benchmark-waiting.png"
PLOTS = {WORK: "Latency, rate and CPU time of publications", WAITING: "Memory of waiting publications; more workers"}
MEGABYTE = 1e6
MAX_ERROR = 200
TIMES = "\N{MULTIPLICATION SIGN}"


def renew(results: Results, path: Path, docs: Path) -> None:
    """Write tables and plots into the documentation."""
    page = docs / "benchmarks.md"
    before, _, rest = page.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    command = [python_of("plots"), "-m", "bench.compare.plots", str(path.resolve()), str(docs.resolve())]
    subprocess.run(command, check=True, cwd=ROOT)
    shown = "\n\n".join(f"![{about}]({name})" for name, about in PLOTS.items() if (docs / name).exists())
    page.write_text(f"{before}{BEGIN}\n\n{tables(results)}\n{shown}\n\n{END}{after}")


def tables(results: Results) -> str:
    """Return everything that was measured, in Markdown."""
    parts = [_heading(results)]
    for name, table in (
        ("in_flight", _in_flight),
        ("crash", _crash),
        ("parked", _parked),
        ("long_wait", _long_wait),
        ("cold_start", _cold_start),
        ("history", _history),
        ("scaling", _scaling),
    ):
        entries = [each for each in results["figures"] if each["measurement"] == name]
        if entries:
            parts.append(table(entries))
            parts += [f"{each['title']} failed: {_one_line(each['error'])}\n" for each in entries if "error" in each]
    return "\n".join(parts)


def failed(results: Results) -> bool:
    """Tell whether anything could not be measured."""
    return any("error" in each for each in results["figures"])


def _one_line(error: str) -> str:
    return " ".join(error.split())[:MAX_ERROR]


def _heading(results: Results) -> str:
    lines = [
        f"Made by `{results['command']}` in {results.get('minutes', '?')} minutes on {results['machine']['machine']}."
    ]
    versions = [f"{name}: {value}" for name, value in results["machine"].items() if name != "machine"]
    lines.append("Versions: " + "; ".join(versions) + ".")
    others = [each["others"] for each in results["figures"] if "others" in each]
    if others:
        shares = f"{100 * statistics.median(others):.0f} % (median), {100 * max(others):.0f} % (most)"
        lines.append(f"Of the machine, programs that have nothing to do with this took {shares}.")
    lines += [f"Not to be had here: {name} ({why})." for name, why in results["absent"].items()]
    return "\n\n".join(lines) + "\n"


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return f"### {title}\n\n" + "\n".join(lines) + "\n"


def contestants(entries: Sequence[Entry]) -> list[tuple[str, str]]:
    """Return name and title of each contestant, in the order of their first figures."""
    return list(dict.fromkeys((each["contestant"], each["title"]) for each in entries))


def median(entries: Sequence[Entry], contestant: str, figure: str, **equal: object) -> float | None:
    """Return the median of a figure over the repetitions."""
    found = [
        each[figure]
        for each in entries
        if each["contestant"] == contestant
        and each.get(figure) is not None
        and all(each.get(name) == value for name, value in equal.items())
    ]
    return statistics.median(found) if found else None


def _shown(value: float | None, form: str = ".1f") -> str:
    return "" if value is None else format(value, form)


def _in_flight(entries: Sequence[Entry]) -> str:
    sizes = sorted({each["size"] for each in entries if "size" in each})
    head = ["", "added to one, ms"]
    for size in sizes:
        head += [
            f"{size} in flight: per s",
            "against bare",
            "worker CPU, ms",
            "engine CPU, ms",
            "together, against bare",
        ]
    head += ["requests each", "sent twice"]
    rows = []
    for name, title in contestants(entries):
        added = median(entries, name, "added_seconds")
        row = [title, _shown(None if added is None else 1000 * added, ".0f")]
        for size in sizes:
            mine = [each for each in entries if each["contestant"] == name and each.get("size") == size]
            rate = median(mine, name, "per_second")
            few = "" if all(each.get("number") == size for each in mine) else f" ({mine[0].get('number')} in flight)"
            late = " (not all done)" if any(each.get("done") != each.get("number") for each in mine) else ""
            late += " (the engine knows of fewer)" if any(each.get("not_ended") for each in mine) else ""
            row += [
                _shown(rate) + few + late,
                _ratio(rate, median(entries, "bare", "per_second", size=size)),
                _shown(median(mine, name, "worker_cpu_ms"), ".0f"),
                _shown(median(mine, name, "engine_cpu_ms"), ".0f"),
                _ratio(_cpu(entries, name, size), _cpu(entries, "bare", size)),
            ]
        row.append(_shown(median(entries, name, "requests")))
        row.append(str(sum(each.get("doubled", 0) for each in entries if each["contestant"] == name)))
        rows.append(row)
    return _table("Publications in flight", head, rows)


def _cpu(entries: Sequence[Entry], name: str, size: int) -> float | None:
    parts = [median(entries, name, figure, size=size) for figure in ("worker_cpu_ms", "engine_cpu_ms")]
    return None if None in parts else sum(part for part in parts if part is not None)


def _ratio(value: float | None, base: float | None) -> str:
    return "" if value is None or not base else f"{value / base:.2f} {TIMES}"


def _crash(entries: Sequence[Entry]) -> str:
    head = [
        "",
        "in flight",
        "recovered",
        "lost",
        "told failed",
        "publishes and go-lives sent twice",
        "undisturbed, s",
        "killed, s",
        "",
    ]
    rows = []
    for each in entries:
        if "error" in each:
            rows.append([each["title"], *[""] * 7, "failed"])
            continue
        number, lost = each["number"], each["lost"]
        calm, took = (_within(each[seconds], each["limit"]) for seconds in ("undisturbed", "took"))
        ratio = _ratio(each["took"], each["undisturbed"])
        recovered, told = f"{100 * (number - lost) / number:.0f} %", str(each["failed"])
        doubled = str(each["doubled"])
        title = each["title"] if each["checks"] else f"{each['title']}, steps that do not look first"
        rows.append([title, str(number), recovered, str(lost), told, doubled, calm, took, ratio])
    return _table("The worker killed with kill -9, writes under way", head, rows)


def _within(seconds: float | None, limit: float) -> str:
    return f"over {limit:.0f}" if seconds is None else f"{seconds:.1f}"


_WAITING = ["", "parked", "parked per s", "worker, MB", "engine, MB", "CPU ms a minute, worker", "engine"]


def _parked(entries: Sequence[Entry]) -> str:
    ordered = sorted(entries, key=lambda each: (each["contestant"], each.get("number", 0)))
    rows = [[*row, *_woken(each)] if last else [*row, "", "", ""] for each in ordered for row, last in _waiting(each)]
    head = [*_WAITING, "woken", "until live, s", "per s"]
    return _table("Waiting for the approval, then all approved at once", head, rows)


def _long_wait(entries: Sequence[Entry]) -> str:
    rows = [
        [*row, f"{60 * each['idle_requests'] / each['idle_seconds']:.0f}" if last else ""]
        for each in entries
        for row, last in _waiting(each)
    ]
    return _table("Waiting five minutes for the next look", [*_WAITING, "looks a minute"], rows)


def _waiting(each: Entry) -> Iterable[tuple[list[str], bool]]:
    """Return a row for each number that was measured, and whether it is the last: that of all who waited."""
    for count, memory in each.get("memory", {}).items():
        last = int(count) == each["number"]
        row = [each["title"], count, "", *(f"{memory[part] / MEGABYTE:.0f}" for part in ("worker", "engine")), "", ""]
        if last:
            row[2] = f"{each['number'] / each['parking_seconds']:.1f}"
            row[5:] = [
                f"{60_000 * each[cpu] / each['idle_seconds']:.0f}" for cpu in ("idle_worker_cpu", "idle_engine_cpu")
            ]
        yield row, last


def _woken(each: Entry) -> list[str]:
    if "woken" not in each:
        return ["", "", ""]
    seconds = each["waking_seconds"]
    return [str(each["woken"]), f"{seconds:.1f}", f"{each['woken'] / max(seconds, 0.001):.1f}"]


def _cold_start(entries: Sequence[Entry]) -> str:
    rows = [
        [each["title"], _shown(each.get("seconds"), ".2f"), _shown(each.get("import_seconds"), ".2f")]
        for each in entries
        if "seconds" in each
    ]
    return _table("Cold start", ["", "process start to first request, s", "import of the worker, s"], rows)


def _history(entries: Sequence[Entry]) -> str:
    figures = ("events", "bytes", "state_transitions", "workflow_tasks", "activities", "timers", "signals")
    rows: list[list[str]] = []
    for each in entries:
        if "error" in each:
            continue
        rows.append([each["title"], *(str(each[figure]) for figure in figures)])
        if len(each["runs"]) > 1:
            rows += [[f"… {run['workflow']}", *(str(run["figures"][f]) for f in figures)] for run in each["runs"]]
    head = ["one publication", *(figure.replace("_", " ") for figure in figures)]
    return _table("History on the Temporal server", head, rows)


def _scaling(entries: Sequence[Entry]) -> str:
    one = next((each.get("per_second") for each in entries if each.get("workers") == 1), None)
    rows = [
        [
            str(each["workers"]),
            _shown(each["per_second"]),
            _ratio(each["per_second"], one),
            _shown(each["worker_cpu_ms"], ".0f"),
            _shown(each["engine_cpu_ms"], ".0f"),
        ]
        for each in entries
        if "error" not in each
    ]
    head = ["workers", "publications per s", "against one", "workers' CPU, ms each", "engine CPU, ms each"]
    return _table("More workers, ours", head, rows)
