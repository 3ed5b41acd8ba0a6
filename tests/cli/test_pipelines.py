"""The example pipelines fit their platforms' schemas, and their scripts publish an image."""

import asyncio
import contextlib
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from cli.arguments import read_arguments
from sandbox import SandboxMarketplace, serve
from tests.apis.cloud_partner import CloudPartnerApi
from tests.cli.conftest import STEP_SECONDS
from tests.desk import OFFER, STEPS, Desk, Recorder
from tests.harness.processes import CLEAN, ROOT
from worker.registration import create_worker

PIPELINES = ROOT / "examples" / "pipelines"
SCHEMAS = {
    "examples/pipelines/github-actions.yml": "vendor.github-workflows",
    "examples/pipelines/azure-pipelines.yml": "vendor.azure-pipelines",
    ".github/workflows/ci.yml": "vendor.github-workflows",
    ".github/ISSUE_TEMPLATE/bug.yml": "vendor.github-issue-forms",
    ".github/ISSUE_TEMPLATE/idea.yml": "vendor.github-issue-forms",
    ".github/ISSUE_TEMPLATE/config.yml": "vendor.github-issue-config",
}
VERSION = "4.2.1"
RUN = f"go-live/fabrikam-linux/{OFFER}/{VERSION}"

# Stand-ins for the platforms' tools. The vault's key would turn on TLS, which the tests' server does not have.
TOOLS = {
    "az": 'echo "key-of-the-vault"',
    "gh": 'echo "fabrikam-dana"',
    "pipx": 'test "$1" = install',
    "offer-publisher": f"""
        test "$TEMPORAL_API_KEY" = key-of-the-vault && test -n "$TEMPORAL_NAMESPACE" && unset TEMPORAL_API_KEY
        export TEMPORAL_NAMESPACE=default TEMPORAL_ADDRESS="$ADDRESS" PYTHONPATH={ROOT}
        exec {sys.executable} -m cli "$@"
    """,
}


def document(pipeline: str) -> Any:
    return yaml.safe_load((PIPELINES / pipeline).read_text())


def found(value: Any, name: str) -> Iterator[Any]:
    """Yield every member with a name, at any depth."""
    if isinstance(value, dict):
        for key, member in value.items():
            if key == name:
                yield member
            yield from found(member, name)
    elif isinstance(value, list):
        for item in value:
            yield from found(item, name)


def test_every_file_of_a_platform_is_checked_with_a_schema() -> None:
    files = [*PIPELINES.iterdir(), *(ROOT / ".github").rglob("*.yml")]
    assert {str(path.relative_to(ROOT)) for path in files} == set(SCHEMAS)


@pytest.mark.parametrize("file", SCHEMAS)
def test_a_file_of_a_platform_fits_its_schema(file: str) -> None:
    check = ["-m", "check_jsonschema", "--builtin-schema", SCHEMAS[file], str(ROOT / file)]
    checked = subprocess.run([sys.executable, *check], capture_output=True, text=True, check=False, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_no_pipeline_holds_or_stores_a_secret() -> None:
    for file in SCHEMAS:
        assert "secrets." not in (ROOT / file).read_text()
    github = document("github-actions.yml")
    assert github["permissions"] == {}
    logins = [
        step["with"] for step in github["jobs"]["start"]["steps"] if step.get("uses", "").startswith("azure/login@")
    ]
    assert logins[0].keys() == {"client-id", "tenant-id", "subscription-id"}  # a login by OIDC


def test_ci_tests_every_python_version_that_the_package_allows() -> None:
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    pythons = jobs["test"]["strategy"]["matrix"]["python"]
    assert f">={pythons[0]}" == oldest
    assert pythons == [f"3.{minor}" for minor in range(11, 11 + len(pythons))]
    assert any(step.get("run") == "make test PYTHON=python" for step in jobs["test"]["steps"])


def test_only_the_approval_uses_the_protected_environment() -> None:
    jobs = document("github-actions.yml")["jobs"]
    assert {name for name, job in jobs.items() if "environment" in job} == {"approve"}
    stages = {stage["stage"]: stage for stage in document("azure-pipelines.yml")["stages"]}
    assert {name for name, stage in stages.items() if list(found(stage, "environment"))} == {"approve"}


def test_the_platform_pastes_no_expression_into_a_script() -> None:
    scripts = [*found(document("github-actions.yml"), "run")]
    for name in ("script", "inlineScript"):
        scripts += found(document("azure-pipelines.yml"), name)
    assert len(scripts) > 8
    for script in scripts:
        assert "${{" not in script
        assert "$(" not in re.sub(r"\$\((az|gh|offer-publisher) ", "", script)


@pytest.mark.parametrize("pipeline", ["github-actions.yml", "azure-pipelines.yml"])
def test_the_decisions_that_a_pipeline_describes_are_in_the_name_of_an_approver(pipeline: str) -> None:
    text = (PIPELINES / pipeline).read_text()
    written = re.findall(r"^ *#   offer-publisher (.*)$", text, re.MULTILINE)
    decisions = [read_arguments("offer-publisher", shlex.split(words)) for words in written]
    assert [each.command for each in decisions] == ["reject", "approve"]
    approvers = re.findall(r'"approvers": \["(.+)"\]', text)
    assert [[each.approver] for each in decisions] == [approvers, approvers]


class Platform:
    """Runs scripts as a platform's runner does."""

    def __init__(self, folder: Path, address: str, task_queue: str) -> None:
        self._folder = folder
        tools = folder / "tools"
        tools.mkdir()
        for name, script in TOOLS.items():
            tool = tools / name
            tool.write_text(f"#!/bin/bash\nset -e\n{script}\n")
            tool.chmod(0o755)
        self._environment = CLEAN | {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "ADDRESS": address,
            "TEMPORAL_TASK_QUEUE": task_queue,
        }

    def file(self, name: str) -> Path:
        """Return the path of a file that the platform gives to its scripts."""
        return self._folder / name

    async def run(self, script: str, variables: Mapping[str, str]) -> str:
        """Run a script, and check that it succeeds. Return its output."""
        process = await asyncio.create_subprocess_exec(
            *("bash", "-eo", "pipefail", "-c", script),
            cwd=self._folder,
            env=self._environment | dict(variables),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, f"{script}\n{output.decode()}"
        return output.decode()


@pytest.fixture
async def platform(
    server: WorkflowEnvironment, address: str, http: httpx.AsyncClient, webhook: Recorder, tmp_path: Path
) -> AsyncIterator[Platform]:
    """A platform. The pipelines' offer has its preview, and their run looks at once."""
    durations = dict.fromkeys(STEPS, STEP_SECONDS)
    queue = tmp_path.name
    async with (
        serve(SandboxMarketplace(default_switches={"step_durations": durations})) as url,
        create_worker(server.client, queue, CloudPartnerApi().marketplace(http, url), webhook),
    ):
        desk = Desk(CloudPartnerApi(), server, http, url, queue, "fabrikam-linux", webhook)
        await desk.put("4.2.0")
        hurrying = asyncio.create_task(hurry(server))
        yield Platform(tmp_path, address, queue)
        hurrying.cancel()
        assert await desk.versions("Production") == ["4.2.0", VERSION]


async def hurry(server: WorkflowEnvironment) -> None:
    """Make the run look at once. By itself it looks once a minute."""
    while True:
        with contextlib.suppress(RPCError):
            await server.client.get_workflow_handle(RUN).signal("check_now")
        await asyncio.sleep(0.2)


def evaluated(text: str, context: Mapping[str, str]) -> str:
    """Replace the expressions with their values."""
    return re.sub(r"\$\{\{ ([\w.]+) \}\}", lambda expression: context[expression[1]], text)


async def test_the_github_workflow_brings_an_image_to_production(platform: Platform) -> None:
    workflow = document("github-actions.yml")
    context = {
        "inputs.version": VERSION,
        "github.token": "token",
        "github.server_url": "https://github.com",
        "github.repository": "fabrikam/webstack",
        "github.run_id": "7",
    }
    for name, job in workflow["jobs"].items():
        variables = {**workflow["env"], "GITHUB_REPOSITORY": "fabrikam/webstack", "GITHUB_RUN_ID": "7"}
        for file in ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_STEP_SUMMARY"):
            variables[file] = str(platform.file(file))
        for step in [step for step in job["steps"] if "run" in step]:
            platform.file("GITHUB_OUTPUT").write_text("")
            own = {key: evaluated(value, context) for key, value in step.get("env", {}).items()}
            await platform.run(step["run"], variables | own)
            if platform.file("GITHUB_ENV").exists():
                variables |= dict(line.split("=", 1) for line in platform.file("GITHUB_ENV").read_text().splitlines())
            for line in platform.file("GITHUB_OUTPUT").read_text().splitlines():
                output, value = line.split("=", 1)
                context[f"steps.{step['id']}.outputs.{output}"] = value
        for output, value in job.get("outputs", {}).items():
            context[f"needs.{name}.outputs.{output}"] = evaluated(value, context)

    assert context["needs.start.outputs.id"] == RUN
    summary = platform.file("GITHUB_STEP_SUMMARY").read_text()
    assert f"fabrikam-linux/{OFFER} is live" in summary
    assert "| Approved by | fabrikam-dana |" in summary


async def test_the_azure_pipeline_brings_an_image_to_production(platform: Platform) -> None:
    pipeline = document("azure-pipelines.yml")
    context = {"parameters.version": VERSION}
    variables = {name.upper(): evaluated(value, context) for name, value in pipeline["variables"].items()} | {
        "SYSTEM_COLLECTIONURI": "https://dev.azure.com/fabrikam/",
        "SYSTEM_TEAMPROJECT": "webstack",
        "BUILD_BUILDID": "7",
        "BUILD_ARTIFACTSTAGINGDIRECTORY": str(platform.file("")),
    }
    outputs = []
    for stage in pipeline["stages"]:
        for step in [step for steps in found(stage, "steps") for step in steps]:
            script = step["inputs"]["inlineScript"] if "task" in step else step["script"]
            outputs.append(await platform.run(script, variables))

    assert RUN in outputs[2]
    assert '"https://dev.azure.com/fabrikam/webstack/_build/results?buildId=7"' in outputs[4]
    assert outputs[-1].endswith(f"##vso[task.uploadsummary]{platform.file('summary.md')}\n")
    assert "| Approved by | azure-devops/marketplace |" in platform.file("summary.md").read_text()
