"""The Makefile keeps the caller's environment away from the tests."""

import os
import subprocess
from pathlib import Path

import pytest

from worker.settings import CodecServerSettings, Settings

ROOT = Path(__file__).parents[1]
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
VARIABLES = [
    *(name.upper() for name in Settings.model_fields | CodecServerSettings.model_fields),
    *PROXIES,
    *(name.lower() for name in PROXIES),
    "TEMPORAL_ADDRESS",
    "AZURE_CLIENT_SECRET",
]


@pytest.mark.parametrize("target", ["test", "fuzz", "chaos", "overload", "model", "clients"])
def test_no_variable_that_could_lead_to_a_real_service_reaches_the_tests(target: str) -> None:
    dry_run = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", target, "ARGS=-k mine"],
        cwd=ROOT,
        env=os.environ | dict.fromkeys(VARIABLES, "theirs"),
        capture_output=True,
        text=True,
        check=True,
    )
    command = next(line for line in reversed(dry_run.stdout.splitlines()) if line.startswith("env "))

    assert [name for name in VARIABLES if f" -u {name} " not in command] == []
    assert " TEMPORAL_CONFIG_FILE=/dev/null " in command
    assert dry_run.stdout.rstrip().endswith("-k mine")
