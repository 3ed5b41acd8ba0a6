"""The sample offer of the demo: published with the Temporal CLI, as a user would, and reported on the terminal."""

import asyncio
import json
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.console import Console
from rich.text import Text
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.exceptions import TemporalError
from temporalio.service import RPCError, RPCStatusCode

CLONE = Path(__file__).resolve().parent.parent
EXAMPLES = CLONE / "examples"
TASK_QUEUE = "offer-publishing"

WATCH = "watch the run; Ctrl-C ends the watch, not the run"
LOOK_EVERY = 0.3
WIDEST_NAME = 8
WIDEST_COMMAND = 115

COLOURS = {"temporal": "magenta", "sandbox": "cyan", "worker": "blue", "offer": "green", "demo": "yellow"}
REPORTED_STATES = {"in_progress", "complete", "waiting_for_sign_off"}
"""The states of a step that are worth a line."""


class DemoError(Exception):
    """The demo cannot continue. The message says why."""


class Screen:
    """The output of the demo: lines after the names of their programs, in colours on a terminal."""

    def __init__(self, console: Console) -> None:
        """Write to `console`."""
        self._console = console
        self.began = time.monotonic()

    def line(self, name: str, text: str) -> None:
        """Write a line of a program."""
        colour = COLOURS[name]
        words = Text.from_ansi(text) if self._console.is_terminal else Text(text)
        self._console.print(Text(f"{name:>{WIDEST_NAME}} │ ", style=colour) + words, soft_wrap=True)

    def command(self, command: str) -> None:
        """Write a command that the demo runs."""
        for line in f"$ {command}".splitlines():
            self.line("demo", line)

    def milestone(self, text: str) -> None:
        """Write what the offer has reached, and after how long."""
        self.line("offer", f"{text} after {time.monotonic() - self.began:.1f} s")

    def sheet(self, title: str, places: Mapping[str, str], commands: Mapping[str, str]) -> None:
        """Write a title, addresses and commands, with nothing around the commands so that they can be copied."""
        self._console.print()
        self._console.print(Text(title, style="bold"), soft_wrap=True)
        width = max(map(len, places))
        for name, place in places.items():
            self._console.print(Text(f"  {name:<{width}}  ") + Text(place, style="underline"), soft_wrap=True)
        self._console.print()
        for purpose, command in commands.items():
            self._console.print(Text(f"# {purpose}", style="dim"), soft_wrap=True)
            self._console.print(Text(command, style="bold cyan"), soft_wrap=True)
        self._console.print()
        self._console.print(Text("Paste into another terminal, in this folder. Ctrl-C stops the demo.", style="dim"))


@dataclass(frozen=True)
class TemporalCli:
    """The Temporal CLI, which the demo runs and the user pastes.

    Attributes:
        options: Options of a pasted command that connect it to the demo's server.
    """

    binary: str
    environment: Mapping[str, str]
    options: Sequence[str]

    def pasted(self, *words: str) -> str:
        """Return a command to paste into a shell in the clone, broken into lines."""
        path = Path(self.binary)
        parts = [_quoted(str(path.relative_to(CLONE) if path.is_relative_to(CLONE) else path))]
        for word in map(_quoted, [*words, *self.options]):
            if word.startswith("--"):
                parts.append(word)  # an option stays with its value
            else:
                parts[-1] += f" {word}"
        lines = [parts[0]]
        for part in parts[1:]:
            if len(lines[-1]) + len(part) > WIDEST_COMMAND:
                lines.append(f"   {part}")
            else:
                lines[-1] += f" {part}"
        return " \\\n ".join(lines)

    async def run(self, *words: str) -> str:
        """Run a command and return its output.

        Raises:
            DemoError: The command failed.
        """
        process = await asyncio.create_subprocess_exec(
            self.binary,
            *words,
            cwd=CLONE,
            env=dict(self.environment),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        if process.returncode:
            raise DemoError(f"{self.pasted(*words)}: {output.decode(errors='replace').strip()}")
        return output.decode(errors="replace")


def _quoted(word: str) -> str:
    """Quote a word for a shell, with double quotes if it has single ones."""
    return f'"{word}"' if "'" in word and not set(word) & set('"$`\\!') else shlex.quote(word)


@dataclass(frozen=True)
class NewestRun:
    """The newest run of the sample offer, and its progress.

    Attributes:
        first: Whether it is the run that creates the offer, and there is no other.
    """

    workflow: str
    workflow_id: str
    run_id: str
    first: bool
    running: bool
    stage: str
    progress: dict[str, Any]

    @property
    def ending(self) -> str | None:
        """How it ended, if it reached neither the preview nor Production."""
        if self.running or self.stage in {"preview", "live"}:
            return None
        return f"{self.workflow} ended: {self.progress.get('error') or self.stage}"


@dataclass
class Sample:
    """The publication of the sample offer.

    Attributes:
        watching: The words before `watch` in a pasted command of this project.
        until: The stage at which to stop; None to stay up.
        folder: The folder within `examples/` with the inputs for the API, with a slash at its end.
    """

    screen: Screen
    cli: TemporalCli
    client: Client
    ui: str
    marketplace: str
    watching: Sequence[str]
    until: str | None
    folder: str
    reported: set[tuple[str, ...]] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Read the IDs of the offer from the examples."""
        example = json.loads((EXAMPLES / f"{self.folder}go-live.json").read_text())
        self._offer_id = example["offer_id"]
        offer = f"{example['publisher_id']}/{example['offer_id']}"
        self.publishing, self.going_live, self.checking = f"offer/{offer}", f"go-live/{offer}", f"check/{offer}"

    async def follow(self) -> None:
        """Start the runs and report their progress, until the stage `until` is reached.

        Raises:
            DemoError: A run ended before that stage.
        """
        while True:
            try:
                run = await self._newest_run()
            except TemporalError:
                await asyncio.sleep(LOOK_EVERY)  # no worker answers the query while it is restarted
                continue
            if run is None:
                await self._start(
                    start_command(
                        "CreateOfferAndPublish",
                        self.publishing,
                        f"{self.folder}create.json",
                        "Create Webstack and publish it",
                    )
                )
                self.screen.line("demo", f"Watch it at {self._page(self.publishing)}")
            else:
                self._report_steps(run)
                if await self._proceed(run):
                    return
            await asyncio.sleep(LOOK_EVERY)

    async def _start(self, words: Sequence[str]) -> None:
        """Start a workflow, and show the command."""
        self.screen.command(self.cli.pasted(*words))
        await self.cli.run(*words)

    def _decision(self, *, approve: bool, approver: str, **more: str) -> list[str]:
        """Return the command that approves or rejects the go-live."""
        decision = json.dumps({"approve": approve, "approver": approver} | more)
        return [
            *("workflow", "update", "execute", "--workflow-id", self.going_live),
            *("--name", "decide_go_live", "--input", decision),
        ]

    async def _newest_run(self) -> NewestRun | None:
        runs = [run for name in (self.publishing, self.going_live) if (run := await self._described(name))]
        if not runs:
            return None
        run = max(runs, key=lambda run: run.start_time)
        handle = self.client.get_workflow_handle(run.id, run_id=run.run_id)
        progress: dict[str, Any] = await handle.query("progress")
        running = run.status is WorkflowExecutionStatus.RUNNING
        stage = str(progress["stage"])
        if not running and run.status is not WorkflowExecutionStatus.COMPLETED and run.status:
            stage = run.status.name.lower()  # a terminated run cannot set its stage
        return NewestRun(run.workflow_type, run.id, run.run_id, len(runs) == 1, running, stage, progress)

    async def _described(self, workflow_id: str) -> WorkflowExecutionDescription | None:
        try:
            return await self.client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise

    def _report_steps(self, run: NewestRun) -> None:
        for step in run.progress["steps"]:
            seen = (run.run_id, step["id"], step["state"])
            if step["state"] in REPORTED_STATES and seen not in self.reported:
                self.reported.add(seen)
                self.screen.line("offer", f"{step['name']}: {step['state'].replace('_', ' ')}")

    async def _proceed(self, run: NewestRun) -> bool:
        """Report a new stage and do the next thing. Return whether the stage `until` is reached."""
        # A run is at the stage live a moment before it ends. Both are reported.
        seen = (run.run_id, run.stage, "runs" if run.running else "ended")
        is_new = seen not in self.reported
        self.reported.add(seen)
        if run.ending and is_new:
            self.screen.line("offer", run.ending)
            if self.until:
                raise DemoError(run.ending)
            self._show_next(run, "That run has ended. What you can do next:")
        elif run.first and run.stage == "preview" and not run.running:
            self.screen.milestone("preview")
            if self.until == "preview":
                return True
            await self._start(self._go_live_command())
        elif run.stage == "awaiting_approval" and is_new:
            self.screen.milestone("awaiting approval")
            self._show_approval(run)
            if self.until == "live":
                await self.cli.run(*self._decision(approve=True, approver="make demo"))
            return self.until in {"preview", "approval"}
        elif run.stage == "live" and not run.running and is_new:
            if self.until:
                self.screen.milestone("live")
                return True
            self.screen.line("offer", "live")  # how long it took depended on the person
            self._show_next(run, "The offer is live. What you can do next:")
        elif run.stage == "preview" and not run.running and is_new:
            self._show_next(run, "The preview is ready. What you can do next:")
        return False

    def _go_live_command(self) -> list[str]:
        example = f"{self.folder}go-live.json"
        return start_command("ValidateAndGoLive", self.going_live, example, "Bring the new image to Production")

    def _places(self, run: NewestRun) -> dict[str, str]:
        page = self._page(run.workflow_id)
        return {
            "Temporal UI": page,
            "Steps": f"{page}/{run.run_id}/user-metadata",
            "Marketplace": f"{self.marketplace}/",
        }

    def _page(self, workflow_id: str) -> str:
        return f"{self.ui}/namespaces/default/workflows/{quote(workflow_id, safe='')}"

    def _show_approval(self, run: NewestRun) -> None:
        person, this = "dana@fabrikam.example", ("--workflow-id", run.workflow_id)
        images = ", ".join(f"{image['plan_id']}/{image['version']}" for image in run.progress["images"])
        commands = {
            "approve, and see it go live": self._decision(approve=True, approver=person),
            "reject it": self._decision(approve=False, approver=person, comment="wrong kernel"),
            "see the progress of the run": ["workflow", "query", *this, "--name", "progress"],
            "list all runs that wait for approval": [
                *("workflow", "list", "--query"),
                "PublishStage = 'awaiting_approval' AND ExecutionStatus = 'Running'",
            ],
            "look at the offer's last operation, from another run": start_command(
                "CheckLastOperationStatus", self.checking, "check.json", "Look at the last operation"
            ),
            "cancel the run": ["workflow", "cancel", *this],
        }
        self.screen.sheet(
            f"The preview of {images} waits for your approval.",
            self._places(run),
            {WATCH: shlex.join([*self.watching, "watch", run.workflow_id])}
            | {purpose: self.cli.pasted(*words) for purpose, words in commands.items()},
        )

    def _show_next(self, run: NewestRun, title: str) -> None:
        commands = {
            "publish the next image to the preview": start_command(
                "UpdateOfferAndPublish", self.publishing, f"{self.folder}update.json", "Publish the next image"
            ),
            "bring an image to Production, after your approval": self._go_live_command(),
            "see how the last run ended": ["workflow", "result", "--workflow-id", run.workflow_id],
            "list all runs of this offer": ["workflow", "list", "--query", f"OfferId = '{self._offer_id}'"],
        }
        self.screen.sheet(
            title,
            self._places(run),
            {purpose: self.cli.pasted(*words) for purpose, words in commands.items()},
        )


def start_command(workflow: str, workflow_id: str, example: str, summary: str) -> list[str]:
    """Return the command that starts a workflow with an example as its input."""
    return [
        *("workflow", "start", "--type", workflow, "--task-queue", TASK_QUEUE),
        *("--workflow-id", workflow_id, "--fail-existing"),
        *("--input-file", f"examples/{example}", "--static-summary", summary),
    ]
