"""A failed TLS handshake with Temporal is explained in one sentence that names the variable to change."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.envconfig import ClientConnectConfig
from temporalio.service import TLSConfig

from tests.harness.tls import Certificate, TlsProxy, certificate
from worker import connection
from worker.connection import ConnectionFailedError, connect
from worker.settings import Settings, SettingsError
from worker.telemetry import runtime
from worker.tls_refusals import closed, refusal

NOBODY = "127.0.0.1:1"
TLS = TLSConfig()
MUTUAL_TLS = TLSConfig(client_cert=b"a certificate", client_private_key=b"its key")
AFTER = (
    "Failed client connect: `get_system_info` call error after connection: Status { code: Unknown, message:"
    ' "transport error", source: Some(tonic::transport::Error(Transport, hyper::Error('
)


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Certificate:
    """A certificate authority that the connection trusts."""
    made = certificate(tmp_path, "authority")
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("TEMPORAL_TLS_SERVER_CA_CERT_PATH", str(made.path))
    return made


async def refused(monkeypatch: pytest.MonkeyPatch, address: str) -> str:
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    with pytest.raises(SettingsError) as wrong:
        await connect(Settings(), runtime())
    return str(wrong.value)


async def test_a_certificate_for_another_host_blames_the_server_name(
    monkeypatch: pytest.MonkeyPatch, authority: Certificate, tmp_path: Path
) -> None:
    server = certificate(tmp_path, "server", authority, host="temporal.example")
    with TlsProxy(NOBODY, server) as proxy:
        said = await refused(monkeypatch, proxy.address)

    assert said.startswith("TEMPORAL_TLS_SERVER_NAME: ")
    assert "is for another name. Set it to the name in the certificate" in said


async def test_an_expired_certificate_is_called_expired(
    monkeypatch: pytest.MonkeyPatch, authority: Certificate, tmp_path: Path
) -> None:
    with TlsProxy(NOBODY, certificate(tmp_path, "server", authority, days=-1)) as proxy:
        said = await refused(monkeypatch, proxy.address)

    assert f"the certificate of the server at {proxy.address} has expired" in said


async def test_a_key_of_another_certificate_is_named(
    monkeypatch: pytest.MonkeyPatch, authority: Certificate, tmp_path: Path
) -> None:
    client, other = certificate(tmp_path, "client", authority), certificate(tmp_path, "other", authority)
    monkeypatch.setenv("TEMPORAL_TLS_CLIENT_CERT_PATH", str(client.path))
    monkeypatch.setenv("TEMPORAL_TLS_CLIENT_KEY_PATH", str(other.key_path))
    with TlsProxy(NOBODY, certificate(tmp_path, "server", authority)) as proxy:
        said = await refused(monkeypatch, proxy.address)

    assert said == "TEMPORAL_TLS_CLIENT_KEY_PATH: is not the private key of the client certificate"


async def test_a_server_that_closes_every_connection_may_require_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", "/dev/null")
    monkeypatch.setattr(connection, "PATIENCE", timedelta(0))
    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        monkeypatch.setenv("TEMPORAL_ADDRESS", f"{host}:{port}")
        with pytest.raises(ConnectionFailedError, match=r"it may require TLS \(TEMPORAL_TLS\)"):
            await connect(Settings(), runtime())


@pytest.mark.parametrize(
    ("said", "tls", "explained"),
    [
        # Go and HAProxy with TLS 1.2, for a missing and for a wrong certificate
        ("InvalidData, error: AlertReceived(HandshakeFailure) }", TLS, "requires a client certificate (HandshakeF"),
        ("InvalidData, error: AlertReceived(UnknownCA) }", MUTUAL_TLS, "refused the client certificate (UnknownCA)"),
        # TLS 1.3
        ('error: "received fatal alert: CertificateRequired"', TLS, "requires a client certificate (CertificateReq"),
        ('error: "received fatal alert: CertificateExpired"', MUTUAL_TLS, "refused the client certificate (Certif"),
        # nginx
        ("while receiving response with status: 400 Bad Request", TLS, "requires a client certificate (400 Bad Req"),
    ],
)
def test_every_way_to_refuse_a_client_is_recognized(said: str, tls: TLSConfig, explained: str) -> None:
    options: ClientConnectConfig = {"target_host": "temporal.example:7233", "tls": tls}

    assert f"the server at temporal.example:7233 {explained}" in (refusal(said, options) or "")
    assert closed(said, options) is None


@pytest.mark.parametrize(
    "said",
    [
        AFTER
        + 'Io, Custom { kind: UnexpectedEof, error: "peer closed connection without sending TLS close_notify" }',
        AFTER + 'Io, Custom { kind: BrokenPipe, error: "stream closed because of a broken pipe" }',
        AFTER + "Io, Kind(ConnectionReset)",
        AFTER + 'Canceled, "connection closed"',
    ],
)
def test_a_connection_that_closes_without_an_alert_is_no_certain_refusal(said: str) -> None:
    tls: ClientConnectConfig = {"target_host": "temporal.example:7233", "tls": TLS}
    mutual: ClientConnectConfig = {"target_host": "temporal.example:7233", "tls": MUTUAL_TLS}

    assert refusal(said, tls) is None
    assert "it may require a client certificate" in (closed(said, tls) or "")
    assert "it may refuse the client certificate" in (closed(said, mutual) or "")


@pytest.mark.parametrize("tls", [{}, {"tls": False}])
def test_without_tls_a_400_response_is_not_taken_for_a_certificate_refusal(tls: ClientConnectConfig) -> None:
    options: ClientConnectConfig = {"target_host": "temporal.example:7233", **tls}

    assert refusal("while receiving response with status: 400 Bad Request", options) is None


def test_tls_to_a_server_without_it_is_reported_even_without_an_api_key() -> None:
    options: ClientConnectConfig = {"target_host": "temporal.example:7233", "tls": TLS}
    said = refusal("error: InvalidMessage(InvalidContentType)", options)

    assert said == (
        "TEMPORAL_TLS, TEMPORAL_TLS_*: TLS is on, but the server at temporal.example:7233 does not use TLS. Unset"
        " TEMPORAL_TLS, TEMPORAL_TLS_* for this server, or correct TEMPORAL_ADDRESS"
    )
