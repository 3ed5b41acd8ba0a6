"""The tables of a comparison, and their place in ``docs/benchmarks.md``."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench.compare.figures import (
    Entry,
    Figure,
    Results,
    Rounds,
    cpu_ms,
    idle_ms_a_minute,
    kept_kb,
    live_per_second,
    look_cpu_ms,
    rounds_of,
    slowdown,
)
from bench.compare.goals import GOALS, TIMES

BEGIN, END = "<!-- from here: made by make bench -->", "<!-- to here: made by make bench -->"
MEGABYTE = 1e6
MAX_ERROR = 200


def write(results: Results, page: Path) -> None:
    """Write the tables into the documentation."""
    before, _, rest = page.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n\n{tables(results)}\n{END}{after}")


def tables(results: Results) -> str:
    """Return all tables, as Markdown."""
    parts = [_heading(results), _goals(results)]
    for name, table in TABLES.items():
        if (rounds := rounds_of(results, name)).entries:
            parts.append(table(rounds))
    parts += [
        f"{each['title']} failed at `{each['measurement']}`: {' '.join(each['error'].split())[:MAX_ERROR]}\n"
        for each in results["figures"]
        if "error" in each
    ]
    return "\n".join(parts)


def failed(results: Results) -> bool:
    """Return whether a measurement failed."""
    return any("error" in each for each in results["figures"])


def _heading(results: Results) -> str:
    machine = results["machine"]
    rounds = results["rounds"]
    lines = [
        f"Made by `{results['command']}` in {results['minutes']:.0f} minutes on {machine['machine']}.",
        "Versions: " + "; ".join(f"{name}: {value}" for name, value in machine.items() if name != "machine") + ".",
    ]
    if rounds > 1:
        lines.append(
            f"The figures of ours and of the bare workflows are medians of {rounds} rounds. *Against* is the median"
            " of the ratios within each round. The other engines were measured once, and at kill -9 so were the bare"
            " workflows."
        )
    others = [each["others"] for each in results["figures"] if "others" in each]
    if others:
        shares = f"{100 * statistics.median(others):.0f} % (median), {100 * max(others):.0f} % (most)"
        lines.append(f"Unrelated programs used {shares} of the machine.")
    lines += [
        f"Not measured, because something is missing: {name} ({why})." for name, why in results["missing"].items()
    ]
    return "\n\n".join(lines) + "\n"


def _goals(results: Results) -> str:
    head = ["", "goal", "reached", "rounds", "met", "bare"]
    return _table("What a publication may cost", head, [goal.row(results) for goal in GOALS if goal.values(results)])


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return f"### {title}\n\n" + "\n".join(lines) + "\n"


def _shown(value: float | None, form: str = ".1f") -> str:
    return "" if value is None else format(value, form)


def _against(rounds: Rounds, figure: Figure, contestant: str, base: str = "bare") -> str:
    ratios = rounds.ratios(figure, contestant, base)
    return f"{statistics.median(ratios):.2f} {TIMES}" if ratios else ""


HISTORY = ("events", "bytes", "state_transitions", "workflow_tasks", "activities", "markers", "timers", "upserts")


def _single(rounds: Rounds) -> str:
    rows: list[list[str]] = []
    for name, title in rounds.contestants():
        mine = rounds.of(name)
        counted = [_shown(mine.median(figure), ".0f") for figure in HISTORY]
        rows.append([title, _shown(mine.median("added_ms"), ".0f"), _shown(mine.median("requests"), ".0f"), *counted])
        runs = mine.entries[0].get("runs", [])
        if len(runs) > 1:
            rows += [
                [f"… {run['workflow']}", "", "", *(str(run["figures"][each]) for each in HISTORY)] for run in runs
            ]
    head = ["", "added, ms", "requests", *(figure.replace("_", " ") for figure in HISTORY)]
    return _table("One publication by itself", head, rows)


def _in_flight(rounds: Rounds) -> str:
    sizes = sorted({each["size"] for each in rounds.entries})
    return "\n".join(_many(f"{size:,} in flight", rounds.where(size=size)) for size in sizes)


def _slow_reads(rounds: Rounds) -> str:
    return _many("A marketplace whose reads take 0.5 s", rounds)


def _many(heading: str, rounds: Rounds) -> str:
    rows = []
    for name, title in rounds.contestants():
        mine = rounds.of(name)
        rows.append(
            [
                title,
                str(mine.entries[0]["number"]),
                _shown(mine.median("per_second")),
                _against(rounds, "per_second", name),
                _shown(mine.median("worker_cpu_ms"), ".0f"),
                _shown(mine.median("engine_cpu_ms"), ".0f"),
                _against(rounds, cpu_ms, name),
                _against(rounds, cpu_ms, name, "bare-local"),
                _shown(mine.median("requests")),
                str(sum(each["number"] - each["done"] + each["not_ended"] for each in mine.entries)),
                str(sum(each["doubled"] for each in mine.entries)),
            ]
        )
    head = ["", "in flight", "per s", "against bare", "worker CPU, ms", "engine CPU, ms", "together, against bare"]
    head += ["against bare, looks local", "requests each", "not ended", "sent twice"]
    return _table(heading, head, rows)


def _crash(rounds: Rounds) -> str:
    rows = []
    for name, title in rounds.contestants():
        mine = rounds.of(name)
        counted = [str(max(each[figure] for each in mine.entries)) for figure in ("lost", "failed", "doubled")]
        seconds = [_shown(mine.median(figure)) or "too long" for figure in ("undisturbed", "took")]
        ratio = mine.median(slowdown)
        rows.append(
            [title, str(mine.entries[0]["number"]), *counted, *seconds, f"{ratio:.2f} {TIMES}" if ratio else ""]
        )
    head = ["", "in flight", "lost at worst", "failed", "sent twice", "not killed, s", "killed, s", "slowdown"]
    return _table("The worker killed with kill -9, writes under way", head, rows)


def _parked(rounds: Rounds) -> str:
    rows = [
        [
            *row,
            _shown(rounds.of(name).median(idle_ms_a_minute), ".0f"),
            _shown(rounds.of(name).median(live_per_second)),
        ]
        for (name, _), row in zip(rounds.contestants(), _waiting(rounds), strict=True)
    ]
    head = [*WAITING_HEAD, "CPU ms a minute", "approved: live per s"]
    return _table("Waiting for the approval, then all approved at once", head, rows)


def _long_wait(rounds: Rounds) -> str:
    rows = [
        [*row, _shown(rounds.of(name).median(look_cpu_ms)), _against(rounds, look_cpu_ms, name)]
        for (name, _), row in zip(rounds.contestants(), _waiting(rounds), strict=True)
    ]
    return _table("Waiting a minute for the next look", [*WAITING_HEAD, "CPU of a look, ms", "against bare"], rows)


WAITING_HEAD = ["", "waiting", "begun per s", "worker, MB: none", "half", "all", "KB each", "engine, MB: none", "all"]


def _waiting(rounds: Rounds) -> Iterable[list[str]]:
    for name, title in rounds.contestants():
        mine = rounds.of(name)
        number: int = mine.entries[0]["number"]

        def memory(part: str, count: int, mine: Rounds = mine) -> str:
            return _shown(mine.median(lambda each: each["memory"][str(count)][part] / MEGABYTE), ".0f")

        yield [
            title,
            f"{number:,}",
            _shown(mine.median(_begun_per_second)),
            *(memory("worker", count) for count in (0, number // 2, number)),
            _shown(mine.median(kept_kb), ".0f"),
            *(memory("engine", count) for count in (0, number)),
        ]


def _begun_per_second(entry: Entry) -> float:
    return float(entry["number"] / entry["parking_seconds"])


TABLES: dict[str, Callable[[Rounds], str]] = {
    "single": _single,
    "in_flight": _in_flight,
    "slow_reads": _slow_reads,
    "crash": _crash,
    "parked": _parked,
    "long_wait": _long_wait,
}
