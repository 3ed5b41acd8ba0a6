"""How connecting to Temporal fails: with one line about a wrong ``TEMPORAL_*`` variable or an unreachable server."""

import socket
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client

from worker import connection
from worker.connection import ConnectionFailedError, connect, read_connection
from worker.settings import Settings, SettingsError
from worker.telemetry import runtime


@pytest.fixture(autouse=True)
def no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", "/dev/null")


def test_without_settings_the_local_server_is_used() -> None:
    assert read_connection() == {"target_host": "localhost:7233"}


def test_a_profile_is_read_as_by_the_temporal_cli(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "temporal.toml"
    path.write_text(
        '[profile.cloud]\naddress = "fabrikam.example:7233"\nnamespace = "fabrikam"\napi_key = "invented"'
    )
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(path))
    monkeypatch.setenv("TEMPORAL_PROFILE", "cloud")
    options = read_connection()

    assert options["target_host"] == "fabrikam.example:7233"
    assert options["namespace"] == "fabrikam"
    assert options["api_key"] == "invented"


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("TEMPORAL_PROFILE", "nonesuch", "TEMPORAL_PROFILE: Profile 'nonesuch' not found"),
        ("TEMPORAL_CONFIG_FILE", "/nonesuch/temporal.toml", "TEMPORAL_CONFIG_FILE: there is no such file"),
        ("TEMPORAL_TLS_CLIENT_CERT_PATH", "/nonesuch/client.pem", "TEMPORAL_TLS_*: [Errno 2] No such file"),
        ("TEMPORAL_ADDRESS", "temporal.example", "must be HOST:PORT"),
        ("TEMPORAL_ADDRESS", "https://temporal.example:7233", "must be HOST:PORT"),
        ("TEMPORAL_ADDRESS", "two words:7233", "must be HOST:PORT"),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as wrong:
        read_connection()

    assert said in str(wrong.value)
    assert variable.split("_CLIENT", maxsplit=1)[0] in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_a_broken_file_is_named_and_not_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "temporal.toml"
    path.write_text('[profile.default]\napi_key = ["hunter2"')
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(path))
    with pytest.raises(SettingsError, match=r"^TEMPORAL_CONFIG_FILE: .*line 2") as wrong:
        read_connection()

    assert "hunter2" not in str(wrong.value)
    assert "\n" not in str(wrong.value)


async def test_a_file_that_is_not_a_certificate_is_a_wrong_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "client.pem"
    path.write_text("no certificate")
    monkeypatch.setenv("TEMPORAL_TLS_CLIENT_CERT_PATH", str(path))
    monkeypatch.setenv("TEMPORAL_TLS_CLIENT_KEY_PATH", str(path))
    with pytest.raises(SettingsError, match=r"^TEMPORAL_TLS_\*: "):
        await connect(Settings(), runtime())


async def test_an_unreachable_server_is_named_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    monkeypatch.setattr(connection, "PATIENCE", timedelta(seconds=0.2))
    monkeypatch.setattr(connection, "BETWEEN_ATTEMPTS", timedelta(seconds=0.1))
    with pytest.raises(ConnectionFailedError, match=f"does not answer at {address}: Connection refused"):
        await connect(Settings(), runtime())


async def test_a_silent_server_is_named_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PATIENCE", timedelta(0))
    monkeypatch.setattr(connection, "ONE_ATTEMPT", timedelta(seconds=0.2))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(ConnectionFailedError, match=r"nothing came back within 0\.2 s"):
            await connect(Settings(), runtime())


CLOSED = "call error after connection: Status { source: Some(tonic::transport::Error(Transport, connection closed)) }"


async def attempts(monkeypatch: pytest.MonkeyPatch, *errors: Exception) -> None:
    """Connect with attempts that fail with these errors in turn. The last error must end it."""
    left = iter(errors)

    async def fail(*_arguments: object) -> Client:
        raise next(left)

    monkeypatch.setattr(connection, "_connect", fail)
    monkeypatch.setattr(connection, "BETWEEN_ATTEMPTS", timedelta())
    with pytest.raises(SettingsError, match="UnknownCA"):
        await connect(Settings(), runtime())


async def test_a_closed_connection_is_not_logged_if_the_next_attempt_gets_the_reason(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await attempts(monkeypatch, RuntimeError(CLOSED), SettingsError("UnknownCA"))

    assert caplog.messages == []


@pytest.mark.parametrize("said", ['message: "Connection refused"', CLOSED])
async def test_a_server_that_does_not_answer_is_announced_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, said: str
) -> None:
    await attempts(monkeypatch, *[RuntimeError(said)] * 3, SettingsError("UnknownCA"))

    assert len(caplog.messages) == 1
    assert caplog.messages[0].endswith(". Trying for 30 s")
