"""`make demo` as a person uses it: a process, its output, and the commands that it offers to paste."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import pytest

from sandbox.demo import find_temporal, lock_state
from sandbox.sample import TASK_QUEUE, DemoError
from sandbox.stack import Program, ProgramEndedError, Stack

CLONE = Path(__file__).parent.parent
FAST = "600000"
"""Sandbox seconds per real second: the week until the preview takes one second."""

APPROVE = "approve, and see it go live"
WATCH = "watch the run; Ctrl-C ends the watch, not the run"
PROGRESS = "see the progress of the run"
WAITING = "list all runs that wait for approval"

Found = TypeVar("Found")


def free_ports() -> list[int]:
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        return [listener.getsockname()[1] for listener in listeners]


def eventually(look: Callable[[], Found], what: str, seconds: float = 30) -> Found:
    """Look until something is found, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"this did not happen within {seconds:g} s: {what}"
        time.sleep(0.1)
    return found


class Demo:
    """A running demo, and everything that it has written."""

    def __init__(self, state: Path, *options: str) -> None:
        temporal, ui, marketplace = map(str, free_ports())
        self.address = f"127.0.0.1:{temporal}"
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "sandbox.demo", "--state", str(state), "--speed", FAST),
                *("--temporal-port", temporal, "--ui-port", ui, "--sandbox-port", marketplace),
                *options,
            ],
            cwd=CLONE,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        self.lines.extend(self.process.stdout)

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def until(self, text: str) -> None:
        """Wait until the demo has written a text."""
        eventually(lambda: text in self.output or self.process.poll() is not None, f"the demo writes {text!r}", 60)
        assert text in self.output, self.output

    def children(self) -> dict[str, int]:
        """Return the process IDs of the demo's programs, by command."""
        table = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
        rows = [line.split(maxsplit=2) for line in table.stdout.splitlines()]
        return {command: int(pid) for pid, parent, command in rows if int(parent) == self.process.pid}

    def child(self, name: str) -> int:
        """Return the process ID of one program."""
        return eventually(
            lambda: next((pid for command, pid in self.children().items() if name in command), 0), f"{name} runs"
        )

    def pasted(self, purpose: str) -> str:
        """Run a command as a person does who copies it from the terminal. Return its output."""
        command = self.output.split(f"# {purpose}\n", 1)[1]
        lines = command.splitlines()
        end = next(number for number, line in enumerate(lines) if not line.endswith("\\"))
        run = subprocess.run(
            ["bash", "-c", "\n".join(lines[: end + 1])], cwd=CLONE, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
        return run.stdout

    def ended(self) -> int:
        """Wait until the demo has ended. Return its exit status."""
        status = self.process.wait(60)
        self.close()
        return status

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(20)
        if self.process.stdout:
            self.process.stdout.close()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def demos(state: Path) -> Iterator[Callable[..., Demo]]:
    """Starts demos on one state, and stops them at the end."""
    started: list[Demo] = []

    def start(*options: str) -> Demo:
        started.append(Demo(state, *options))
        return started[-1]

    yield start
    for demo in started:
        demo.close()


def test_the_pasted_commands_show_the_run_and_approve_it_even_after_the_worker_was_killed(
    demos: Callable[..., Demo], state: Path
) -> None:
    demo = demos()
    demo.until("waits for your approval.")
    demo.until("Ctrl-C stops the demo.")
    assert "preview after" in demo.output
    programs = set(demo.children().values())

    progress: dict[str, Any] = json.loads(demo.pasted(PROGRESS).split("QueryResult", 1)[-1])
    assert progress["stage"] == "awaiting_approval"
    assert [image["version"] for image in progress["images"]] == ["4.2.1"]
    eventually(lambda: "ValidateAndGoLive" in demo.pasted(WAITING), "the list shows the go-live")

    os.kill(demo.child("-m worker"), signal.SIGKILL)
    demo.until("worker was stopped (signal SIGKILL): starting it again")
    assert "dana@fabrikam.example" in demo.pasted(APPROVE)
    demo.until("The offer is live.")
    assert demo.pasted(WATCH).endswith("has ended well: live, approved by dana@fabrikam.example.\n")
    programs |= set(demo.children().values())

    demo.process.send_signal(signal.SIGINT)
    assert demo.ended() == 0
    assert not any(map(alive, programs))
    assert (state / "temporal.db").stat().st_size
    assert json.loads((state / "sandbox.json").read_text())


def test_the_next_demo_continues_with_the_state_and_no_program_outlives_a_killed_demo(
    demos: Callable[..., Demo],
) -> None:
    first = demos("--until", "preview")
    assert first.ended() == 0, first.output
    assert "preview after" in first.output

    second = demos()
    second.until("waits for your approval.")
    assert "Continuing with the state" in second.output
    assert "CreateOfferAndPublish" not in second.output

    programs = second.children().values()
    second.process.kill()
    second.ended()
    eventually(lambda: not any(map(alive, programs)), "all programs of the demo have ended", 20)


def test_the_server_refuses_to_run_an_activity_without_a_workflow(
    demos: Callable[..., Demo],
) -> None:
    demo = demos()
    demo.until("worker: Working on task queue")
    command = [find_temporal(), "activity", "execute", "--address", demo.address, "--task-queue", TASK_QUEUE]
    command += ["--type", "go_live", "--activity-id", "past-every-approval", "--start-to-close-timeout", "10s"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert refused.returncode == 1
    assert "Standalone activity is disabled" in refused.stderr


def demo_with(state: Path, **ports: object) -> subprocess.CompletedProcess[str]:
    """Run a demo that cannot start, with the ports that its variables name."""
    variables = {f"DEMO_{name}_PORT": str(port) for name, port in ports.items()}
    return subprocess.run(
        [sys.executable, "-m", "sandbox.demo", "--state", str(state)],
        cwd=CLONE,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_all_taken_ports_are_named_before_anything_starts(state: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        taken, taken_too = one.getsockname()[1], two.getsockname()[1]
        run = demo_with(state, TEMPORAL=free_ports()[0], UI=taken, SANDBOX=taken_too)

    said = " ".join(run.stdout.split())
    assert run.returncode == 2
    assert f"Port {taken} for the Temporal UI cannot be used" in said
    assert f"Port {taken_too} for the marketplace sandbox cannot be used" in said
    assert re.search(r"make demo DEMO_UI_PORT=\d+ DEMO_SANDBOX_PORT=\d+", said)
    assert not state.exists()


def test_a_port_that_is_no_number_is_named_by_its_variable(state: Path) -> None:
    run = demo_with(state, UI="eight")

    assert run.returncode == 2
    assert "DEMO_UI_PORT must be a port number, not 'eight'" in run.stderr


def test_two_demos_cannot_use_the_same_state_at_once(tmp_path: Path) -> None:
    with lock_state(tmp_path), pytest.raises(DemoError, match=r"Another demo uses the state in .* --state FOLDER"):
        lock_state(tmp_path)
    lock_state(tmp_path).close()


async def ready() -> bool:
    return True


async def never_ready() -> bool:
    return False


def program(source: str, **more: Any) -> Program:
    return Program("worker", [sys.executable, "-c", source], {}, **({"ready": ready} | more))


async def test_a_program_that_ends_by_itself_is_reported_with_its_status_and_its_last_lines() -> None:
    async with Stack(lambda _name, _line: None) as stack:
        await stack.start(program("print('no such queue'); raise SystemExit(3)"))
        with pytest.raises(ProgramEndedError, match=r"worker ended with exit status 3\.(.|\n)*no such queue"):
            await stack.failed()


async def test_a_program_that_ends_before_it_is_ready_is_not_waited_for() -> None:
    async with Stack(lambda _name, _line: None) as stack:
        with pytest.raises(ProgramEndedError, match="exit status 1"):
            await stack.start(program("raise SystemExit(1)", ready=never_ready))


async def test_a_program_that_must_not_restart_is_not_started_again_when_it_is_killed() -> None:
    async with Stack(lambda _name, _line: None) as stack:
        await stack.start(program("import os; os.kill(os.getpid(), 9)", restarts=False))
        with pytest.raises(ProgramEndedError, match="signal SIGKILL"):
            await stack.failed()
