"""Play the same trouble with each client, and write the table: `python -m tests.campaigns.released_clients`."""

import argparse
import asyncio
import os
import platform
import socket
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
from temporalio.client import Client
from temporalio.service import RPCError

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
from tests.process.processes import Programs, until
from worker.registration import data_converter

PAGE = environment.ROOT / "docs" / "released-clients.md"
MARKS = ("<!-- compared -->", "<!-- end -->")
SPEED = 60.0
COLUMNS: Sequence[type[Publisher]] = (Ours, Cloudpub, AzureImgUtils)
STAGGER = 1.5
A_GIBIBYTE = 2**30


@asynccontextmanager
async def _rig(folder: Path) -> AsyncIterator[Rig]:
    """Run the sandbox and a Temporal server."""
    with Programs(folder) as programs, socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        listener.close()
        sandbox = programs.python("-m", "sandbox", "--port", "0", "--speed", str(SPEED))
        server = programs.temporal(port)
        await until(lambda: "http://" in sandbox.said(), sandbox)
        url = sandbox.said().split()[1].rstrip("/")
        address = f"127.0.0.1:{port}"
        clients: list[Client] = []

        async def connects() -> bool:
            try:
                clients.append(await Client.connect(address, data_converter=data_converter()))
                await clients[-1].count_workflows()
            except (RuntimeError, RPCError):
                return False
            return True

        await until(connects, server)
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            certificates = Certificates(folder, HOSTS)
            yield Rig(programs, http, url, SPEED, certificates, (address, clients[-1]))


async def _play_all(rig: Rig, names: Sequence[str]) -> Mapping[tuple[type[Publisher], str], Played]:
    """Play everything at once, each on an offer of its own."""
    plain = {f"plain-{number}": play for number, play in enumerate(PLAIN)} if not names else {}
    plays = plain | {name: play for name, play in PLAYS.items() if not names or name in names}
    cast = [(client, name) for name in plays for client in COLUMNS]
    cast += [(OursEveryFiveMinutes, name) for name in plain]
    opening = asyncio.Semaphore(1)

    async def played(number: int, client: type[Publisher], name: str) -> Played:
        await asyncio.sleep(number * STAGGER)
        offer = f"{client.__name__}-{name}".lower().replace(" ", "-")
        found = await plays[name].play(offer, client, rig, opening)
        outcome = ": ".join(verdict(name, found)) if name in PLAYS else f"{found.requests} requests"
        sys.stdout.write(f"{offer}: {outcome}\n")
        sys.stdout.flush()
        return found

    found = await asyncio.gather(*(played(number, *each) for number, each in enumerate(cast)))
    return dict(zip(cast, found, strict=True))


def _table(found: Mapping[tuple[type[Publisher], str], Played]) -> str:
    rows = [["", *(client.title for client in COLUMNS)], ["---"] * (len(COLUMNS) + 1)]
    rows.append(["looks", *(client.polls for client in COLUMNS)])
    for number, play in enumerate(PLAIN):
        title = f"requests, {play.lasting.preview:g} min to the preview and {play.lasting.live:g} min to live"
        rows.append([title, *(str(found[client, f"plain-{number}"].requests) for client in COLUMNS)])
    rows.append(["news is seen late by: median, most", *(_late(found, client) for client in COLUMNS)])
    for name, play in PLAYS.items():
        judged = [verdict(name, found[client, name]) for client in COLUMNS]
        rows.append([play.title, *(f"**{word}**: {told}" for word, told in judged)])
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
    server = _said(find_temporal(), "--version")
    commit = _said("git", "-C", str(environment.ROOT), "describe", "--always", "--dirty")
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


def _said(*command: str) -> str:
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
    """Play and write; 1 where the clients are not installed."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.released_clients", description=__doc__)
    parser.add_argument("plays", nargs="*", choices=[*PLAYS, []], help="only these, and write nothing")
    names: Sequence[str] = parser.parse_args().plays
    why_not = environment.why_not()
    if why_not is not None:
        sys.stderr.write(f"{why_not}\n")
        return 1
    asyncio.run(_compare(names))
    return 0


if __name__ == "__main__":
    sys.exit(main())
