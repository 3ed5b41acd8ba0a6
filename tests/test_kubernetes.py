"""The manifest for Kubernetes agrees with the worker, its image and Temporal's variables.

These tests do not check it against the schema of the Kubernetes API, which is too large to install. To do so:
``pip install kubernetes-validate && kubernetes-validate --strict examples/kubernetes/worker.yaml``.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from worker.endpoint import Endpoint
from worker.registration import DRAIN
from worker.settings import Settings

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "examples/kubernetes/worker.yaml").read_text()
ACCOUNT, DEPLOYMENT = yaml.safe_load_all(TEXT)
TEMPLATE: dict[str, Any] = DEPLOYMENT["spec"]["template"]
POD: dict[str, Any] = TEMPLATE["spec"]
(WORKER,) = POD["containers"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())

METRICS = re.search(r"METRICS_ADDRESS=[\d.]+:(\d+)", DOCKERFILE)
assert METRICS is not None
PORT = int(METRICS[1])


def named_variables() -> Iterator[str]:
    """Return the variables that the manifest sets, and those that its comments show."""
    yield from (variable["name"] for variable in WORKER["env"])
    yield from re.findall(r"# - name: ([A-Z_]+)", TEXT)
    yield from re.findall(r"^#   ([A-Z_]+)=", TEXT, re.MULTILINE)


def test_the_worker_knows_every_variable() -> None:
    known = {name.upper() for name in Settings.model_fields} | COMPOSE["services"]["worker"]["environment"].keys()
    connection = {"TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_API_KEY"}
    assert set(named_variables()) - known - connection == set()


def test_secret_settings_come_from_the_secret() -> None:
    secret = {name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    in_the_open = {variable["name"] for variable in WORKER["env"]}
    assert not in_the_open & (secret | {"TEMPORAL_API_KEY", "AZURE_CLIENT_SECRET"})
    (source,) = WORKER["envFrom"]
    assert f"create secret generic {source['secretRef']['name']} " in TEXT


@pytest.mark.parametrize(("probe", "answer"), [("livenessProbe", 200), ("readinessProbe", 503)])
async def test_the_worker_answers_at_the_paths_of_the_probes(probe: str, answer: int, unused_tcp_port: int) -> None:
    wanted = WORKER[probe]["httpGet"]
    assert wanted["port"] in {port["name"] for port in WORKER["ports"]}
    async with aiohttp.ClientSession() as session:
        endpoint = Endpoint(session, "http://127.0.0.1:9/metrics", lambda: "Temporal does not answer")
        address = f"127.0.0.1:{unused_tcp_port}"
        async with endpoint.listening(address), session.get(f"http://{address}{wanted['path']}") as response:
            assert response.status == answer


def test_probes_and_prometheus_use_the_port_of_the_image() -> None:
    assert [port["containerPort"] for port in WORKER["ports"]] == [PORT]
    assert TEMPLATE["metadata"]["annotations"] == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(PORT),
        "prometheus.io/path": "/metrics",
    }


def test_the_worker_has_time_to_drain_before_it_is_killed() -> None:
    assert POD["terminationGracePeriodSeconds"] >= DRAIN.total_seconds() + 10


def test_the_container_runs_as_the_user_of_the_image_without_privileges_and_writes_to_tmp_only() -> None:
    user = POD["securityContext"]
    assert f"USER {user['runAsUser']}:{user['runAsGroup']}" in DOCKERFILE.splitlines()
    assert user["runAsNonRoot"] is True
    assert WORKER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [mount["mountPath"] for mount in WORKER["volumeMounts"]] == ["/tmp"]
    assert {mount["name"] for mount in WORKER["volumeMounts"]} == {volume["name"] for volume in POD["volumes"]}


def test_the_deployment_selects_its_pods_and_names_their_service_account() -> None:
    labels = TEMPLATE["metadata"]["labels"]
    assert DEPLOYMENT["spec"]["selector"]["matchLabels"] == labels
    assert [spread["labelSelector"]["matchLabels"] for spread in POD["topologySpreadConstraints"]] == [labels]
    assert POD["serviceAccountName"] == ACCOUNT["metadata"]["name"]
