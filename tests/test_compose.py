"""The files of the container stack: what can be checked without starting it."""

import json
import os
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from temporalio.common import SearchAttributeIndexedValueType as Type

from sandbox.demo import SERVER_TUNING
from worker.registration import DRAIN
from worker.settings import Settings
from workflows.search_attributes import ALL
from workflows.stages import MAX_WORKFLOW_ID

ROOT = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {"worker", "sandbox", "codec-server"}
# A backslash at the end of a line continues it, in the middle of a word too.
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
DOCKERIGNORE = (ROOT / ".dockerignore").read_text().splitlines()
VARCHAR = 255
"""Characters that the columns of names and IDs take."""


def gates(service: str) -> dict[str, str]:
    return {name: gate["condition"] for name, gate in SERVICES[service].get("depends_on", {}).items()}


def instruction(name: str) -> list[str]:
    return re.findall(rf"^{name} +(.*)", DOCKERFILE, re.MULTILINE)


def test_each_service_waits_for_those_that_it_needs() -> None:
    assert gates("schema") == {"postgres": "service_healthy"}
    assert gates("temporal") == {"schema": "service_completed_successfully"}
    assert gates("namespace") == {"temporal": "service_healthy"}
    assert gates("worker") == {"namespace": "service_completed_successfully"}
    assert gates("ui") == {"temporal": "service_healthy"}


def test_every_service_that_stays_up_has_a_health_check_and_restarts() -> None:
    for name, service in SERVICES.items():
        one_shot = name in {"schema", "namespace"}
        assert ("restart" in service) != one_shot, name
        # The image brings the worker's health check.
        assert ("healthcheck" in service) != (one_shot or name == "worker"), name


def test_our_image_is_built_once_and_never_pulled() -> None:
    assert {name for name, service in SERVICES.items() if "build" in service} == {"worker"}
    assert {SERVICES[name]["image"] for name in OURS} == {SERVICES["worker"]["image"]}
    # Without `build`, Compose would pull a missing image, and anybody can publish one under this name.
    assert {name: SERVICES[name].get("pull_policy") for name in OURS} == {
        "worker": None,
        "sandbox": "never",
        "codec-server": "never",
    }


def test_every_foreign_image_is_pinned_to_a_version_in_one_place() -> None:
    foreign = {name: service["image"] for name, service in SERVICES.items() if name not in OURS}
    assert set(foreign.values()) == set(COMPOSE["x-images"].values())
    for image in COMPOSE["x-images"].values():
        assert re.search(r":v?\d+\.\d+", image), image
    text = (ROOT / "docker-compose.yml").read_text()
    assert all(text.count(image) == 1 for image in COMPOSE["x-images"].values())
    assert "latest" not in text


def test_the_stack_runs_the_server_and_ui_versions_of_the_demo() -> None:
    temporal = Path(sys.executable).with_name("temporal")
    shown = subprocess.run([temporal, "--version"], capture_output=True, text=True, check=True).stdout
    server, ui = re.findall(r"(?:Server|UI) ([\d.]+)", shown)
    images = COMPOSE["x-images"]
    assert images["server"].endswith(f":{server}")
    assert images["admin-tools"].endswith(f":{server}")  # this image contains the schema
    assert images["ui"].endswith(f":{ui}")


def test_ports_are_published_on_the_loopback_address_only() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published.keys() == {"temporal", "ui", "sandbox", "codec-server", "prometheus", "grafana"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_the_worker_can_be_scaled_because_it_has_no_fixed_name_and_no_published_port() -> None:
    assert not {"container_name", "hostname", "ports"} & SERVICES["worker"].keys()


def test_the_worker_has_time_to_drain_before_it_is_killed() -> None:
    seconds = int(SERVICES["worker"]["stop_grace_period"].removesuffix("s"))
    assert seconds >= DRAIN.total_seconds() + 10


def test_every_setting_of_the_worker_reaches_it() -> None:
    set_by_the_image = {"METRICS_ADDRESS"}  # its health check depends on it
    for_the_codec_server = {"CODEC_SERVER_TOKEN"}
    settings = {name.upper() for name in Settings.model_fields}
    assert settings - set_by_the_image - for_the_codec_server <= SERVICES["worker"]["environment"].keys()
    assert any("METRICS_ADDRESS=0.0.0.0:9464" in line for line in instruction("ENV"))


def test_data_is_kept_in_named_volumes() -> None:
    mounts = [v.split(":") for s in SERVICES.values() for v in s.get("volumes", [])]
    named = {source for source, *_ in mounts if not source.startswith("./")}
    assert named == set(COMPOSE["volumes"]) == {"postgres", "sandbox", "prometheus"}
    for source, _, *mode in (mount for mount in mounts if mount[0].startswith("./")):
        assert (ROOT / source).exists(), source
        assert mode == ["ro"], source


def test_optional_services_have_a_profile_and_no_other_service_needs_them() -> None:
    profiles = {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service}
    assert profiles == {
        "sandbox": ["sandbox"],
        "codec-server": ["codec"],
        "prometheus": ["observability"],
        "grafana": ["observability"],
    }
    assert not any(profiles.keys() & gates(name) for name in SERVICES)
    assert (
        SERVICES["worker"]["environment"]["MARKETPLACE_URL"] is None
    )  # the real marketplace, unless the shell sets another


def test_our_containers_have_no_privileges_and_a_read_only_file_system() -> None:
    for name in OURS:
        service = SERVICES[name]
        assert service["read_only"] is True
        assert service["init"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["tmpfs"] == ["/tmp"]
        assert "privileged" not in service


def test_neither_the_file_nor_the_image_holds_a_secret() -> None:
    environment = SERVICES["worker"]["environment"]
    given = {name for name, value in environment.items() if value is not None}
    assert given == {"TEMPORAL_ADDRESS"}
    assert not re.findall(r"(?i)^(?:ARG|ENV).*(?:token|secret|password|key)", DOCKERFILE, re.MULTILINE)
    assert DOCKERIGNORE[1] == "*"  # nothing enters the build unless it is named
    assert not any("env" in line for line in DOCKERIGNORE if line.startswith("!"))


def test_the_image_holds_the_locked_packages_and_our_six_folders() -> None:
    (install,) = [line for line in instruction("RUN") if "-r /requirements.txt" in line]
    assert {"--require-hashes", "--only-binary"} <= set(install.split())
    copied = {line.split()[0] for line in instruction("COPY") if not line.startswith("--from")}
    assert copied == {"requirements.txt", "activities", "cli", "marketplace", "sandbox", "worker", "workflows"}
    assert {line[1:] for line in DOCKERIGNORE if line.startswith("!")} == copied


def test_the_image_runs_as_a_numbered_user_other_than_root_on_a_replaceable_base() -> None:
    assert instruction("USER") == ["10001:10001"]
    assert instruction("STOPSIGNAL") == ["SIGTERM"]
    assert instruction("CMD") == ['["python", "-m", "worker"]']
    (base,) = instruction("ARG")
    assert re.fullmatch(r"BASE_IMAGE=python:3\.\d+-slim-\w+", base)
    assert all(line.startswith("${BASE_IMAGE}") for line in instruction("FROM"))


@pytest.mark.parametrize("status", [200, 503, None], ids=["ready", "not ready", "no answer"])
def test_the_health_check_passes_only_if_the_worker_is_ready(status: int | None) -> None:
    asked = []

    class Endpoint(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if status is not None:
                self.send_response(status)
                self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    (check,) = instruction("HEALTHCHECK")
    _, _, command = check.partition("CMD ")
    (*_, code) = json.loads(command)
    with HTTPServer(("127.0.0.1", 0), Endpoint) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        code = code.replace(":9464/", f":{server.server_port}/")
        behind_a_proxy = {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | behind_a_proxy,
            capture_output=True,
            check=False,
            timeout=20,
        )
        server.shutdown()
    assert asked == ["/readyz"]
    assert (done.returncode == 0) is (status == 200)


def test_the_stack_registers_the_search_attributes_of_the_workflows() -> None:
    (script,) = SERVICES["namespace"]["command"]
    registered = dict(re.findall(r"\b([A-Z]\w+):(Keyword\w*)", script))
    keys: list[Any] = [*ALL]
    types = {Type.KEYWORD: "Keyword", Type.KEYWORD_LIST: "KeywordList"}
    assert registered == {key.name: types[key.indexed_value_type] for key in keys}


NAMESPACES = """
case "$*" in
  *"namespace describe"*) test -e "$0.created" ;;
  *"namespace create"*) touch "$0.created"; test -e "$0.answered" || { touch "$0.answered"; exit 1; } ;;
  *"workflow count"*) test -e "$0.counted" || { touch "$0.counted"; exit 1; } ;;
esac
"""
"""A CLI that loses the answer to the first creation, and whose server takes a moment to see search attributes."""


def test_the_namespace_service_survives_a_lost_answer_and_waits_for_the_search_attributes(
    tmp_path: Path,
) -> None:
    cli = tmp_path / "temporal"
    cli.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/calls\n{NAMESPACES}')
    cli.chmod(0o755)
    (tmp_path / "sleep").symlink_to("/bin/true")
    (script,) = SERVICES["namespace"]["command"]
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TEMPORAL_NAMESPACE": "default"}
    command = [*SERVICES["namespace"]["entrypoint"], script.replace("$$", "$")]
    subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert sum("namespace create" in call for call in calls) == 1  # the second attempt finds it
    assert [call for call in calls if "workflow count" in call] == calls[-2:]
    assert all(key.name in calls[-1] for key in ALL)


def test_the_namespace_service_fails_if_the_server_never_answers(tmp_path: Path) -> None:
    cli = tmp_path / "temporal"
    cli.write_text("#!/bin/sh\nexit 1\n")
    cli.chmod(0o755)
    (tmp_path / "sleep").symlink_to("/bin/true")
    (script,) = SERVICES["namespace"]["command"]
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TEMPORAL_NAMESPACE": "default"}
    command = [*SERVICES["namespace"]["entrypoint"], script.replace("$$", "$")]
    assert subprocess.run(command, env=environment, check=False, timeout=60).returncode != 0


def test_the_shell_scripts_stop_at_the_first_error_and_are_valid() -> None:
    for name in ("schema", "namespace"):
        assert SERVICES[name]["entrypoint"] == ["/bin/sh", "-euc"]  # the first failure ends the step
        (script,) = SERVICES[name]["command"]
        assert "$$" in script
        assert not re.search(r"(?<!\$)\$(?!\$)", script)  # Compose would take a single dollar for itself
        subprocess.run(["sh", "-n"], input=script.replace("$$", "$"), text=True, check=True, timeout=20)
    schema = SERVICES["schema"]["command"][0]
    assert "migrate temporal temporal\n" in schema
    assert "migrate temporal_visibility visibility\n" in schema


def dynamic_config() -> dict[str, Any]:
    config = yaml.safe_load(COMPOSE["configs"]["dynamic-config"]["content"])
    assert all(len(values) == 1 and values[0].keys() == {"value"} for values in config.values())
    return {name: value["value"] for name, (value,) in config.items()}


def test_the_server_has_fairness_and_no_standalone_activities_as_in_the_demo() -> None:
    wanted = {
        "matching.enableFairness": True,
        "matching.numTaskqueueWritePartitions": 1,
        "activity.enableStandalone": False,
    }
    assert wanted.items() <= dynamic_config().items()
    assert {f"{name}={json.dumps(value)}" for name, value in wanted.items()} <= set(SERVER_TUNING)


def test_the_server_has_no_setting_that_is_for_development_only() -> None:
    assert "system.forceSearchAttributesCacheRefreshOnRead" not in dynamic_config()


def test_the_number_of_history_shards_which_is_final_is_set_and_not_the_default() -> None:
    default_of_the_image = 4  # too few for more than a trial
    assert int(SERVICES["temporal"]["environment"]["NUM_HISTORY_SHARDS"]) > default_of_the_image


def test_every_log_rotates() -> None:
    assert all(service["logging"] == COMPOSE["x-logging"] for service in SERVICES.values())
    # `local` rotates. `json-file`, Docker's default, keeps everything.
    assert COMPOSE["x-logging"] == {"driver": "${LOG_DRIVER:-local}"}


def test_the_proxy_variables_of_the_shell_reach_the_worker() -> None:
    environment = SERVICES["worker"]["environment"]
    # Without a value, so that Compose sets a variable only if the shell has it.
    assert {environment[name] for name in ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")} == {None}


def test_the_codec_server_allows_the_ui_of_this_stack_and_has_the_keys_of_the_worker() -> None:
    codec = SERVICES["codec-server"]
    port = SERVICES["ui"]["ports"][0].split(":")[1]
    origins = {word.removeprefix("--origin=") for word in codec["command"] if word.startswith("--origin=")}
    assert origins == {f"http://127.0.0.1:{port}", f"http://localhost:{port}"}
    assert "PAYLOAD_ENCRYPTION_KEYS" in codec["environment"].keys() & SERVICES["worker"]["environment"].keys()


def test_the_longest_workflow_id_fits_into_the_columns_of_postgresql() -> None:
    assert MAX_WORKFLOW_ID < dynamic_config()["limit.maxIDLength"] <= VARCHAR
