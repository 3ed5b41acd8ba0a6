"""Play the same faults with each client, and write the table of docs/released-clients.md: ``make clients``."""

import argparse
import asyncio
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import httpx

from sandbox.demo import find_temporal
from tests.campaigns.released_clients import environment
from tests.campaigns.released_clients.certificates import Certificates
from tests.campaigns.released_clients.clients import (
    AzureImgUtils,
    Cloudpub,
    Ours,
    OursEveryFiveMinutes,
    Publisher,
    Rig,
)
from tests.campaigns.released_clients.front import HOSTS
from tests.campaigns.released_clients.plays import PLAIN, PLAYS, Played, median_late, verdict
from tests.harness.processes import free_port
from tests.harness.programs import Programs
from tests.harness.temporal_server import connected

PAGE = environment.ROOT / "docs" / "released-clients.md"
MARKS = ("<!-- compared -->", "<!-- end -->")
SPEED = 60.0
COLUMNS: Sequence[type[Publisher]] = (Ours, Cloudpub, AzureImgUtils)
STAGGER = 1.5
A_GIBIBYTE = 2**30


@asynccontextmanager
async def _rig(folder: Path) -> AsyncIterator[Rig]:
    """Run the sandbox and a Temporal server."""
    with Programs(folder) as programs:
        port = free_port()
        programs.temporal(port)
        url = await programs.sandbox("--speed", str(SPEED))
        address = f"127.0.0.1:{port}"
        client = await connected(address)
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            certificates = Certificates(folder, HOSTS)
            yield Rig(programs, http, url, SPEED, certificates, (address, client))


async def _play_all(rig: Rig, names: Sequence[str]) -> Mapping[tuple[type[Publisher], str], Played]:
    """Play everything at once, each play on its own offer."""
    plain = {f"plain-{number}": play for number, play in enumerate(PLAIN)} if not names else {}
    plays = plain | {name: play for name, play in PLAYS.items() if not names or name in names}
    pairs = [(client, name) for name in plays for client in COLUMNS]
    pairs += [(OursEveryFiveMinutes, name) for name in plain]
    opening = asyncio.Semaphore(1)

    async def played(number: int, client: type[Publisher], name: str) -> Played:
        await asyncio.sleep(number * STAGGER)
        offer = f"{client.__name__}-{name}".lower().replace(" ", "-")
        found = await plays[name].play(offer, client, rig, opening)
        outcome = ": ".join(verdict(name, found)) if name in PLAYS else f"{found.requests} requests"
        sys.stdout.write(f"{offer}: {outcome}\n")
        sys.stdout.flush()
        return found

    found = await asyncio.gather(*(played(number, *each) for number, each in enumerate(pairs)))
    return dict(zip(pairs, found, strict=True))


def _table(found: Mapping[tuple[type[Publisher], str], Played]) -> str:
    rows = [["", *(client.title for client in COLUMNS)], ["---"] * (len(COLUMNS) + 1)]
    rows.append(["looks", *(client.polls for client in COLUMNS)])
    for number, play in enumerate(PLAIN):
        title = f"requests, {play.duration.preview:g} min to the preview and {play.duration.live:g} min to live"
        rows.append([title, *(str(found[client, f"plain-{number}"].requests) for client in COLUMNS)])
    rows.append(["news is seen late by: median, most", *(_late(found, client) for client in COLUMNS)])
    for name, play in PLAYS.items():
        judged = [verdict(name, found[client, name]) for client in COLUMNS]
        rows.append([play.title, *(f"**{word}**: {facts}" for word, facts in judged)])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    same = OursEveryFiveMinutes
    counts = ", ".join(str(found[same, f"plain-{number}"].requests) for number in range(len(PLAIN)))
    return (
        f"{table}\n\nThis project, set to look {same.polls} as the others do: {counts} requests,"
        f" and news is seen late by {_late(found, same)}."
    )


def _late(found: Mapping[tuple[type[Publisher], str], Played], client: type[Publisher]) -> str:
    median, most = median_late([found[client, f"plain-{number}"] for number in range(len(PLAIN))])
    return f"{median:.1f} min, {most:.1f} min"


def _heading(minutes: float) -> str:
    pins = ", ".join(f"{name} {pin}" for name, pin in environment.versions().items())
    server = _output(find_temporal(), "--version")
    commit = _output("git", "-C", str(environment.ROOT), "describe", "--always", "--dirty")
    return (
        f"Made by `make clients` on {datetime.now(UTC):%Y-%m-%d} in {minutes:.0f} minutes, on {_machine()}.\n\n"
        f"Versions: this project at {commit}, temporalio {version('temporalio')}, {server},"
        f" Python {platform.python_version()}; {pins}."
    )


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / A_GIBIBYTE
    return f"{os.cpu_count()} cores, {processor}, {memory:.0f} GiB, {platform.system()} {platform.release()}"


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


async def _compare(names: Sequence[str]) -> None:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="released-clients-") as folder:
        async with _rig(Path(folder)) as rig:
            found = await _play_all(rig, names)
    if names:
        return
    made = f"{_heading((time.monotonic() - began) / 60)}\n\n{_table(found)}"
    begin, end = MARKS
    head, _, rest = PAGE.read_text().partition(begin)
    PAGE.write_text(f"{head}{begin}\n{made}\n{end}{rest.partition(end)[2]}")
    sys.stdout.write(f"{made}\n")


def main() -> int:
    """Play, and write the table. Return 1 if the clients are not installed."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.released_clients", description=__doc__)
    parser.add_argument("plays", nargs="*", choices=[*PLAYS, []], help="play only these, and write nothing")
    names: Sequence[str] = parser.parse_args().plays
    missing = environment.missing()
    if missing is not None:
        sys.stderr.write(f"{missing}\n")
        return 1
    asyncio.run(_compare(names))
    return 0


if __name__ == "__main__":
    sys.exit(main())
