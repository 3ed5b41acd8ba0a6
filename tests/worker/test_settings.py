"""Settings from the environment. A wrong variable is reported in one line, without its value."""

import base64
from pathlib import Path

import pytest
from temporalio.common import WorkerDeploymentVersion

from marketplace.cloud_partner.marketplace import CloudPartnerMarketplace
from marketplace.product_ingestion.marketplace import ProductIngestionMarketplace
from worker.marketplaces import credentials_of, http_client, marketplace_of, url_of
from worker.settings import Settings, SettingsError, read_settings

KEY = base64.b64encode(b"k" * 32).decode()
VARIABLES = [name.upper() for name in Settings.model_fields]


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def test_everything_has_a_default() -> None:
    settings = read_settings(Settings)

    assert settings.temporal_task_queue == "offer-publishing"
    assert url_of(settings) == "https://cloudpartner.azure.com"
    assert settings.log_level == "INFO"
    assert settings.log_format == "text"
    assert not settings.azure_storage_account_keys
    assert not settings.payload_encryption_keys


@pytest.mark.parametrize(
    ("api", "address", "client"),
    [
        ("cloud-partner", "https://cloudpartner.azure.com", CloudPartnerMarketplace),
        ("product-ingestion", "https://graph.microsoft.com/rp/product-ingestion", ProductIngestionMarketplace),
    ],
)
async def test_the_api_setting_selects_the_client_and_its_address(
    monkeypatch: pytest.MonkeyPatch, api: str, address: str, client: type
) -> None:
    monkeypatch.setenv("MARKETPLACE_API", api)
    settings = read_settings(Settings)

    assert url_of(settings) == address
    async with http_client() as http:
        assert isinstance(marketplace_of(settings, http, credentials_of(settings)), client)


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.setenv(variable, "")

    assert read_settings(Settings) == Settings.model_construct()


def test_every_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "TEMPORAL_TASK_QUEUE": "mine",
        "TEMPORAL_DEPLOYMENT_NAME": "release/offer-publisher",
        "TEMPORAL_DEPLOYMENT_BUILD_ID": "1.4.0-9f3c2b1",
        "MARKETPLACE_API": "product-ingestion",
        "MARKETPLACE_URL": "http://127.0.0.1:8400/below/a/path",
        "MARKETPLACE_SCHEMA_VERSION": "2022-03-01-preview5",
        "AZURE_TENANT_ID": "c2d8b7a4-54a6-4bf0-9b7e-0f8f3a1d6e90",
        "MARKETPLACE_PUBLISHERS": "fabrikam-linux, contoso",
        "MARKETPLACE_ACCESS_TOKEN": "eyJ0.invented.token\n",
        "MARKETPLACE_REQUESTS_PER_SECOND": "0.5",
        "AZURE_STORAGE_ACCOUNT_KEYS": "one=a2V5MQ==, two=a2V5Mg==",
        "GO_LIVE_APPROVERS": "dana@fabrikam.example,Lee of Release",
        "NOTIFY_FORMAT": "teams",
        "NOTIFY_SECRET": "0123456789abcdef-hunter2\n",
        "TEMPORAL_UI_URL": "https://temporal.example/ui",
        "NOTIFY_WEBHOOK_URL": "https://chat.example/hooks/abc?token=def",
        "PAYLOAD_ENCRYPTION_KEYS": f"new:{KEY},old:{KEY}",
        "METRICS_ADDRESS": "[::1]:9464",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "LOG_LEVEL": "debug",
        "LOG_FORMAT": "json",
    }
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    settings = read_settings(Settings)

    assert sorted(given) == sorted(VARIABLES)
    assert settings.azure_storage_account_keys == {"one": "a2V5MQ==", "two": "a2V5Mg=="}
    assert list(settings.payload_encryption_keys) == ["new", "old"]
    assert settings.deployment_version() == WorkerDeploymentVersion("release/offer-publisher", "1.4.0-9f3c2b1")
    assert settings.marketplace_publishers == ["fabrikam-linux", "contoso"]
    assert settings.go_live_approvers == ["dana@fabrikam.example", "Lee of Release"]
    assert settings.marketplace_requests_per_second == 0.5
    assert settings.log_level == "DEBUG"
    for secret in ("invented", "a2V5", "hooks", KEY, "k" * 32):
        assert secret not in repr(settings)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TEMPORAL_DEPLOYMENT_NAME", "hunter2.release"),
        ("TEMPORAL_DEPLOYMENT_NAME", "hunter2:release"),
        ("TEMPORAL_DEPLOYMENT_NAME", "__hunter2"),
        ("TEMPORAL_DEPLOYMENT_BUILD_ID", "hunter2 1"),
        ("TEMPORAL_DEPLOYMENT_BUILD_ID", "hunter2" * 20),
        ("MARKETPLACE_API", "hunter2"),
        ("MARKETPLACE_SCHEMA_VERSION", "hunter2"),
        ("MARKETPLACE_SCHEMA_VERSION", "2022-03-01-preview"),
        ("MARKETPLACE_URL", "cloudpartner.azure.com"),
        ("MARKETPLACE_URL", "ftp://cloudpartner.azure.com"),
        ("MARKETPLACE_URL", "https://dana:hunter2@cloudpartner.azure.com"),
        ("MARKETPLACE_URL", "https://cloudpartner.azure.com?hunter2"),
        ("MARKETPLACE_URL", "https://hunter2\x01"),
        ("MARKETPLACE_ACCESS_TOKEN", "hunter2 hunter3"),
        ("MARKETPLACE_ACCESS_TOKEN", "hünter2"),
        ("MARKETPLACE_ACCESS_TOKEN", "hunter2\nhunter3"),
        ("MARKETPLACE_ACCESS_TOKEN", "\n"),
        ("MARKETPLACE_REQUESTS_PER_SECOND", "0.09"),
        ("MARKETPLACE_REQUESTS_PER_SECOND", "-1"),
        ("MARKETPLACE_REQUESTS_PER_SECOND", "nan"),
        ("MARKETPLACE_REQUESTS_PER_SECOND", "many"),
        ("AZURE_STORAGE_ACCOUNT_KEYS", "hunter2"),
        ("AZURE_STORAGE_ACCOUNT_KEYS", "account=hunter2!"),
        ("AZURE_STORAGE_ACCOUNT_KEYS", "account=a2V5,account=a2V5"),
        ("MARKETPLACE_PUBLISHERS", "hunter2,"),
        ("MARKETPLACE_PUBLISHERS", "fabrikam,hunter2/"),
        ("GO_LIVE_APPROVERS", "hunter2, ,dana"),
        ("GO_LIVE_APPROVERS", "dana,hunter2\x07"),
        ("NOTIFY_FORMAT", "hunter2"),
        ("NOTIFY_SECRET", "hunter2"),
        ("TEMPORAL_UI_URL", "temporal.example"),
        ("TEMPORAL_UI_URL", "https://temporal.example/?hunter2"),
        ("NOTIFY_WEBHOOK_URL", "hunter2"),
        ("NOTIFY_WEBHOOK_URL", "https://chat.example:hunter2/"),
        ("PAYLOAD_ENCRYPTION_KEYS", "hunter2"),
        ("PAYLOAD_ENCRYPTION_KEYS", "id:hunter2!"),
        ("PAYLOAD_ENCRYPTION_KEYS", "hunter2:not base64"),
        ("PAYLOAD_ENCRYPTION_KEYS", f"hunter2:{base64.b64encode(b'short').decode()}"),
        ("PAYLOAD_ENCRYPTION_KEYS", f"hunter2:{KEY},hunter2:{KEY}"),
        ("METRICS_ADDRESS", "9464"),
        ("METRICS_ADDRESS", "localhost:9464"),
        ("METRICS_ADDRESS", "127.0.0.1:70000"),
        ("METRICS_ADDRESS", "::1:9464"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://dana:hunter2@127.0.0.1:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_a_wrong_value_is_reported_in_one_line_that_names_the_variable_but_not_the_value(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as wrong:
        read_settings(Settings)

    said = str(wrong.value)
    assert said.startswith(f"{variable}: ")
    assert "\n" not in said
    assert "hunter2" not in said
    assert "invalid literal" not in said


def test_an_entra_token_is_never_sent_in_clear_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETPLACE_URL", "http://marketplace.example")
    with pytest.raises(SettingsError, match=r"^MARKETPLACE_URL: must begin with https://"):
        read_settings(Settings)

    monkeypatch.setenv("MARKETPLACE_ACCESS_TOKEN", "sandbox-token")
    assert url_of(read_settings(Settings)) == "http://marketplace.example"


@pytest.mark.parametrize(
    "address",
    ["https://marketplace.example", "http://127.0.0.1:8400", "http://[::1]:8400", "http://localhost:8400/rp"],
)
def test_tls_and_loopback_need_no_fixed_token(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("MARKETPLACE_URL", address)

    assert url_of(read_settings(Settings)) == address


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1.marketplace.example", "http://localhost.example", "http://10.0.0.1"]
)
def test_an_address_that_only_resembles_loopback_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("MARKETPLACE_URL", address)
    with pytest.raises(SettingsError, match=r"^MARKETPLACE_URL: must begin with https://"):
        read_settings(Settings)


@pytest.mark.parametrize("file", ["sandbox.env", "sandbox-product-ingestion.env"])
def test_the_examples_of_a_sandbox_are_accepted(monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    for line in (Path("examples") / file).read_text().splitlines():
        if line and not line.startswith("#"):
            monkeypatch.setenv(*line.split("=", 1))

    assert url_of(read_settings(Settings)).startswith("http://sandbox:8400")


@pytest.mark.parametrize(
    ("set_alone", "said"),
    [
        ("TEMPORAL_DEPLOYMENT_NAME", "must be set if TEMPORAL_DEPLOYMENT_NAME is set"),
        ("TEMPORAL_DEPLOYMENT_BUILD_ID", "has no meaning without TEMPORAL_DEPLOYMENT_NAME"),
    ],
)
def test_a_deployment_needs_both_a_name_and_a_build_id(
    monkeypatch: pytest.MonkeyPatch, set_alone: str, said: str
) -> None:
    assert read_settings(Settings).deployment_version() is None
    monkeypatch.setenv(set_alone, "offers")
    with pytest.raises(SettingsError) as wrong:
        read_settings(Settings)

    assert str(wrong.value) == f"TEMPORAL_DEPLOYMENT_BUILD_ID: {said}"
