"""The dashboard and the alert rules query metrics that a real worker exposes, and Prometheus accepts them."""

import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from temporalio.client import Client, WorkflowFailureError

from tests.apis.cloud_partner import offer_document
from tests.desk import OFFER, PLAN, vhd
from tests.harness.processes import free_port
from tests.harness.programs import Programs
from tests.process.sandbox_publisher import Publisher
from workflows.messages import PublicationResult, PublishStage

FOLDER = Path(__file__).parents[2] / "observability"
ALERTS = sorted((Path(__file__).parents[1] / "alerts").glob("*.yml"))
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "grafana/dashboards/offer-publisher.json").read_text())
PANELS = {
    f"{panel['title']} {target['refId']}": target["expr"]
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", [])
}
QUERIES = PANELS | {rule["alert"]: rule["expr"] for rule in RULES}
OF_PROMETHEUS = {"up", "ALERTS"}
OFTEN = {"polling": {"min_interval": "PT0.2S", "max_interval": "PT0.3S"}}

Exposed = Mapping[str, Mapping[str, AbstractSet[str]]]
"""The labels of each metric, and the values of each label."""


def tool(name: str) -> str:
    """Return the path of a program from Debian's package ``prometheus``."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed. Debian's package prometheus contains it")
    return found


@pytest.fixture(scope="module")
async def metrics_url(shared: Programs, address: str, client: Client, marketplace_url: str) -> AsyncIterator[str]:
    """The URL of the metrics of a worker that has published, and has failed an activity and a workflow task."""
    publisher, url = Publisher("observed", marketplace_url), f"http://127.0.0.1:{free_port()}"
    worker = shared.worker(
        address,
        publisher.url,
        publisher.name,
        METRICS_ADDRESS=url.removeprefix("http://"),
        NOTIFY_WEBHOOK_URL=f"{publisher.url}/nonesuch",  # answers at once, unlike an address where nothing answers
        AZURE_STORAGE_ACCOUNT_KEYS="fabrikamimages=aW52ZW50ZWQ=",
    )
    await worker.until_working()
    once_busy = {"kind": "respond", "status": 503, "headers": {"Retry-After": "1"}}
    await publisher.control("POST", "faults", {"call": "put_offer", "action": once_busy})
    created = {"offer": offer_document(publisher.name, ["4.2.0"]), **OFTEN}
    await run(client, publisher, "CreateOfferAndPublish", created)
    image = {"plan_id": PLAN, "version": "4.2.0", "os_vhd_url": vhd("4.2.0")}
    promoted = {"publisher_id": publisher.name, "offer_id": OFFER, "images": [image], **OFTEN}
    await run(client, publisher, "ValidateAndGoLive", promoted | {"approval": {"required": False}})
    with pytest.raises(WorkflowFailureError):
        await run(client, publisher, "CheckLastOperationStatus", {"publisher_id": "nonesuch", "offer_id": "none"})
    await client.start_workflow("Unknown", id="observed/unknown", task_queue=publisher.name)

    async with httpx.AsyncClient() as http:

        async def all_is_measured() -> bool:
            text = (await http.get(f"{url}/metrics")).text
            return all(
                f"\n{name}" in text for name in ("temporal_workflow_task_execution_failed{", "offer_publisher_runs{")
            )

        await worker.until(all_is_measured, "the worker exposes the failed task and the open runs")
        yield f"{url}/metrics"
    worker.kill()


async def run(client: Client, publisher: Publisher, workflow: str, start: dict[str, Any]) -> None:
    """Run a workflow to its end."""
    await client.execute_workflow(
        workflow,
        start,
        id=f"{publisher.name}/{workflow}",
        task_queue=publisher.name,
        result_type=PublicationResult,
    )


@pytest.fixture(scope="module")
def exposed(metrics_url: str) -> Exposed:
    found: dict[str, dict[str, set[str]]] = {}
    for name, labels in re.findall(r"^([a-z_]\w*)(?:{(.*)})? \S+$", httpx.get(metrics_url).text, re.MULTILINE):
        of_name = found.setdefault(name, {})
        for label, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels):
            of_name.setdefault(label, set()).add(value)
    return found


def metrics_in(query: str) -> list[tuple[str, str]]:
    """Return each metric that a query reads, with its label matchers."""
    return [
        (name, matchers)
        for name, matchers in re.findall(r"\b(offer_publisher_\w+|temporal_\w+|up|ALERTS)\b(?:{([^}]*)})?", query)
        if name not in OF_PROMETHEUS
    ]


@pytest.mark.parametrize("name", QUERIES)
def test_a_worker_exposes_every_metric_that_a_query_reads(name: str, exposed: Exposed) -> None:
    for metric, matchers in metrics_in(QUERIES[name]):
        assert metric in exposed, metric
        for label, operator, value in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', matchers):
            assert label in exposed[metric] or label == "job", f"{metric}{{{label}}}"
            if label == "stage":
                assert operator == "="
                assert value in set(PublishStage)
    for grouped in re.findall(r"by \(([^)]*)\)", QUERIES[name]):
        labels = {label.strip() for label in grouped.split(",")}
        known = {label for metric, _ in metrics_in(QUERIES[name]) for label in exposed[metric]}
        assert labels <= known | {"instance"}


def test_each_of_our_metrics_is_documented_with_its_labels_and_no_label_names_an_offer(exposed: Exposed) -> None:
    documented = {
        name: set(re.findall(r"`(\w+)`", labels))
        for name, labels in re.findall(
            r"^\| `(offer_publisher_\w+)` \| \w+ \| ([^|]*) \|",
            (FOLDER.parent / "docs" / "metrics.md").read_text(),
            re.MULTILINE,
        )
    }
    ours = {
        re.sub(r"_(bucket|sum|count)$", "", name): {
            label: values for label, values in labels.items() if label != "le"
        }
        for name, labels in exposed.items()
        if name.startswith("offer_publisher_")
    }
    of_the_sdk = {"namespace", "task_queue", "workflow_type", "activity_type", "service_name"}

    assert {name: labels.keys() - of_the_sdk for name, labels in ours.items()} == documented
    # This test names the task queue like the publisher.
    values = {value for labels in ours.values() for label in labels.keys() - of_the_sdk for value in labels[label]}
    assert not {value for value in values if OFFER in value or "observed" in value or PLAN in value}


def test_prometheus_accepts_the_configuration_and_the_rules() -> None:
    promtool = tool("promtool")
    done = subprocess.run(
        [promtool, "check", "config", FOLDER / "prometheus.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_alerts_fire_when_they_should_and_only_then() -> None:
    promtool = tool("promtool")
    done = subprocess.run([promtool, "test", "rules", *ALERTS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_and_has_a_severity_a_summary_and_a_runbook() -> None:
    tested = "".join(file.read_text() for file in ALERTS)
    for rule in RULES:
        assert rule["alert"] in tested
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"].keys() == {"summary", "runbook", "description"}


def test_every_alert_links_to_its_own_section_of_the_operations_manual() -> None:
    manual = (FOLDER.parent / "docs" / "operations.md").read_text().partition("## What to do for each alert")[2]
    sections = dict(re.findall(r"^### (\w+)$\s+(.+?)(?=^##|\Z)", manual, re.MULTILINE | re.DOTALL))

    assert sections.keys() == {rule["alert"] for rule in RULES}
    for rule in RULES:
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"


async def test_every_panel_of_the_dashboard_shows_data_of_a_running_worker(
    programs: Programs, metrics_url: str, tmp_path: Path
) -> None:
    prometheus, port = tool("prometheus"), free_port()
    scraped = metrics_url.removeprefix("http://").removesuffix("/metrics")
    config = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "offer-publisher", "static_configs": [{"targets": [scraped]}]}],
    }
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    server = programs.start(
        prometheus,
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:

        async def result(query: str) -> list[Any]:
            answer = (await http.get("/api/v1/query", params={"query": query})).json()
            assert answer["status"] == "success", answer
            found: list[Any] = answer["data"]["result"]
            return found

        async def has_scraped() -> bool:
            try:
                return bool(await result("count_over_time(offer_publisher_ready[1m]) > 3"))
            except (httpx.HTTPError, json.JSONDecodeError):
                return False

        await server.until(has_scraped, "Prometheus has scraped the worker four times")
        empty = [title for title, query in PANELS.items() if not await result(query)]
        for rule in RULES:
            await result(rule["expr"])

    assert empty == ["Alerts A"]


def test_the_dashboard_reads_from_the_provisioned_data_source() -> None:
    provisioned = yaml.safe_load((FOLDER / "grafana/provisioning/datasources/prometheus.yml").read_text())
    [source] = provisioned["datasources"]
    targets = [target for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]

    assert {target["datasource"]["uid"] for target in targets} == {source["uid"]}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
