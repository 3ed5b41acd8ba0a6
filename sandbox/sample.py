"""The sample offer of the demo: started with the Temporal CLI, as a user would, and told on the terminal."""

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

LOOK_EVERY = 0.3
WIDEST_NAME = 8
WIDEST_COMMAND = 115

COLOURS = {"temporal": "magenta", "sandbox": "cyan", "worker": "blue", "offer": "green", "demo": "yellow"}
MARKS = {"complete": "✔", "in_progress": "▶", "waiting_for_sign_off": "✋"}


class DemoError(Exception):
    """The demo cannot go on; a sentence for a person."""


class Screen:
    """What the demo writes: lines with the name of who says them, in colours where there is a terminal."""

    def __init__(self, console: Console) -> None:
        """Write to `console`."""
        self._console = console
        self.began = time.monotonic()

    def line(self, name: str, text: str) -> None:
        """Write what a program said."""
        colour = COLOURS[name]
        words = Text.from_ansi(text) if self._console.is_terminal else Text(text)
        self._console.print(Text(f"{name:>{WIDEST_NAME}} │ ", style=colour) + words, soft_wrap=True)

    def command(self, command: str) -> None:
        """Write a command that the demo runs."""
        for line in f"$ {command}".splitlines():
            self.line("demo", line)

    def milestone(self, text: str) -> None:
        """Write what has been reached, and how long it took."""
        self.line("offer", f"{text} after {time.monotonic() - self.began:.1f} s")

    def sheet(self, title: str, places: Mapping[str, str], commands: Mapping[str, str]) -> None:
        """Write a title, addresses and commands, nothing around them so that they can be copied."""
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
class Cli:
    """The Temporal CLI, as the demo runs it and as a person pastes it."""

    binary: str
    address: str
    environment: Mapping[str, str]
    options: Sequence[str]

    def pasted(self, *words: str) -> str:
        """Spell a command for a shell in the clone, in lines that fit a terminal."""
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
        """Run a command; answers with its output.

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
    """Quote for a shell, with the quotes that a person would take."""
    return f'"{word}"' if "'" in word and not set(word) & set('"$`\\!') else shlex.quote(word)


@dataclass(frozen=True)
class Look:
    """The newest run of the sample offer, as it stands.

    Attributes:
        first: Whether no other run has been started yet.
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
        """How it ended without reaching what it was for."""
        if self.running or self.stage in {"preview", "live"}:
            return None
        return f"{self.workflow} ended: {self.progress.get('error') or self.stage}"


@dataclass
class Sample:
    """The sample offer's way from nothing to Production, told as it goes.

    Attributes:
        folder: Where the inputs are that differ from API to API, in the folder of the examples; ends with a slash.
    """

    screen: Screen
    cli: Cli
    client: Client
    ui: str
    marketplace: str
    until: str | None
    folder: str = ""
    told: set[tuple[str, ...]] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Read whose offer it is."""
        promoted = json.loads((EXAMPLES / f"{self.folder}go-live.json").read_text())
        self._offer_id = promoted["offer_id"]
        offer = f"{promoted['publisher_id']}/{promoted['offer_id']}"
        self.publishing, self.going_live, self.checking = f"offer/{offer}", f"go-live/{offer}", f"check/{offer}"

    async def follow(self) -> None:
        """Start what is to be started and tell what happens, until what is waited for, or without end.

        Raises:
            DemoError: A run ended without reaching what is waited for.
        """
        while True:
            try:
                look = await self._look()
            except TemporalError:
                await asyncio.sleep(LOOK_EVERY)  # nobody answers while the worker is being started again
                continue
            if look is None:
                await self.start(
                    starting(
                        "CreateOfferAndPublish",
                        self.publishing,
                        f"{self.folder}create.json",
                        "Create Webstack and publish it",
                    )
                )
                self.screen.line("demo", f"Watch it at {self._page(self.publishing)}")
            else:
                self._tell_steps(look)
                if await self._meet(look):
                    return
            await asyncio.sleep(LOOK_EVERY)

    async def start(self, words: Sequence[str]) -> None:
        """Start a workflow; says how."""
        self.screen.command(self.cli.pasted(*words))
        await self.cli.run(*words)

    def deciding(self, *, approve: bool, approver: str, **more: str) -> list[str]:
        """Spell the command that decides on the go-live."""
        decision = json.dumps({"approve": approve, "approver": approver} | more)
        return [
            *("workflow", "update", "execute", "--workflow-id", self.going_live),
            *("--name", "decide_go_live", "--input", decision),
        ]

    async def _look(self) -> Look | None:
        runs = [run for name in (self.publishing, self.going_live) if (run := await self._described(name))]
        if not runs:
            return None
        run = max(runs, key=lambda run: run.start_time)
        handle = self.client.get_workflow_handle(run.id, run_id=run.run_id)
        progress: dict[str, Any] = await handle.query("progress")
        running = run.status is WorkflowExecutionStatus.RUNNING
        stage = str(progress["stage"])
        if not running and run.status is not WorkflowExecutionStatus.COMPLETED and run.status:
            stage = run.status.name.lower()  # a terminated run had no chance to say so
        return Look(run.workflow_type, run.id, run.run_id, len(runs) == 1, running, stage, progress)

    async def _described(self, workflow_id: str) -> WorkflowExecutionDescription | None:
        try:
            return await self.client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise

    def _tell_steps(self, look: Look) -> None:
        for step in look.progress["steps"]:
            said = (look.run_id, step["id"], step["state"])
            if step["state"] in MARKS and said not in self.told:
                self.told.add(said)
                state = step["state"].replace("_", " ")
                self.screen.line("offer", f"{MARKS[step['state']]} {step['name']}: {state}")

    async def _meet(self, look: Look) -> bool:
        """Act on what a look shows; true when what is waited for has been reached."""
        # A run says that it is live a moment before it ends: these are two pieces of news.
        seen = (look.run_id, look.stage, "runs" if look.running else "ended")
        news = seen not in self.told
        self.told.add(seen)
        if look.ending and news:
            self.screen.line("offer", look.ending)
            if self.until:
                raise DemoError(look.ending)
            self._show_next(look, "That run has ended. Start another:")
        elif look.first and look.stage == "preview" and not look.running:
            self.screen.milestone("preview")
            if self.until == "preview":
                return True
            await self.start(self._promoting())
        elif look.stage == "awaiting_approval" and news:
            self.screen.milestone("awaiting approval")
            self._show_approval(look)
            if self.until == "live":
                await self.cli.run(*self.deciding(approve=True, approver="make demo"))
            return self.until in {"preview", "approval"}
        elif look.stage == "live" and not look.running and news:
            if self.until:
                self.screen.milestone("live")
                return True
            self.screen.line("offer", "live")  # the time would be the person's, not ours
            self._show_next(look, "The offer is live. What may come next:")
        elif look.stage == "preview" and not look.running and news:
            self._show_next(look, "The preview is ready. What may come next:")
        return False

    def _promoting(self) -> list[str]:
        example = f"{self.folder}go-live.json"
        return starting("ValidateAndGoLive", self.going_live, example, "Bring the new image to Production")

    def _places(self, look: Look) -> dict[str, str]:
        page = self._page(look.workflow_id)
        return {
            "Temporal UI": page,
            "Its steps": f"{page}/{look.run_id}/user-metadata",
            "Marketplace": f"{self.marketplace}/",
        }

    def _page(self, workflow_id: str) -> str:
        return f"{self.ui}/namespaces/default/workflows/{quote(workflow_id, safe='')}"

    def _show_approval(self, look: Look) -> None:
        person, this = "dana@fabrikam.example", ("--workflow-id", look.workflow_id)
        images = ", ".join(f"{image['plan_id']}/{image['version']}" for image in look.progress["images"])
        commands = {
            "approve, and see it go live": self.deciding(approve=True, approver=person),
            "or reject": self.deciding(approve=False, approver=person, comment="wrong kernel"),
            "how it stands": ["workflow", "query", *this, "--name", "progress"],
            "all runs that wait for somebody": [
                *(
                    "workflow",
                    "list",
                    "--query",
                    "PublishStage = 'awaiting_approval' AND ExecutionStatus = 'Running'",
                ),
            ],
            "look at what the marketplace does, from another run": starting(
                "CheckLastOperationStatus", self.checking, "check.json", "Look at the last operation"
            ),
            "give up": ["workflow", "cancel", *this],
        }
        self.screen.sheet(
            f"The preview of {images} waits for your approval.",
            self._places(look),
            {purpose: self.cli.pasted(*words) for purpose, words in commands.items()},
        )

    def _show_next(self, look: Look, title: str) -> None:
        commands = {
            "publish the next image, up to the preview": starting(
                "UpdateOfferAndPublish", self.publishing, f"{self.folder}update.json", "Publish the next image"
            ),
            "bring an image to Production, asking for approval": self._promoting(),
            "how the last run ended": ["workflow", "result", "--workflow-id", look.workflow_id],
            "all runs of this offer": ["workflow", "list", "--query", f"OfferId = '{self._offer_id}'"],
        }
        self.screen.sheet(
            title,
            self._places(look),
            {purpose: self.cli.pasted(*words) for purpose, words in commands.items()},
        )


def starting(workflow: str, workflow_id: str, example: str, summary: str) -> list[str]:
    """Spell the command that starts a workflow with an example."""
    return [
        *("workflow", "start", "--type", workflow, "--task-queue", TASK_QUEUE),
        *("--workflow-id", workflow_id, "--fail-existing"),
        *("--input-file", f"examples/{example}", "--static-summary", summary),
    ]
