"""TLS to Temporal. The worker connects to a proxy that terminates TLS, as a load balancer does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.programs import Program, Programs
from tests.harness.tls import Certificate, TlsProxy, certificate

MARKETPLACE = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Certificate:
    return certificate(folder, "authority")


@pytest.fixture(scope="module")
def stranger(folder: Path) -> Certificate:
    """An authority that neither side trusts."""
    return certificate(folder, "stranger")


@pytest.fixture(scope="module")
def tls(folder: Path, authority: Certificate, address: str) -> Iterator[TlsProxy]:
    with TlsProxy(address, certificate(folder, "server", authority)) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def mutual_tls(folder: Path, authority: Certificate, address: str) -> Iterator[TlsProxy]:
    with TlsProxy(address, certificate(folder, "mutual-server", authority), clients=authority) as proxy:
        yield proxy


def trusting(authority: Certificate) -> dict[str, str]:
    return {"TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(authority.path)}


def showing(client: Certificate) -> dict[str, str]:
    return {
        "TEMPORAL_TLS_CLIENT_CERT_PATH": str(client.path),
        "TEMPORAL_TLS_CLIENT_KEY_PATH": str(client.key_path),
    }


def refused(worker: Program) -> str:
    """Wait for a worker to end because of a wrong setting, and return what it says about it."""
    assert worker.ended(within=20) == 2, worker.said()
    assert worker.said().count("\n") == 1
    assert worker.said().startswith("Wrong configuration: ")
    return worker.said().removeprefix("Wrong configuration: ")


async def test_a_worker_connects_with_tls_and_an_api_key(
    programs: Programs, tls: TlsProxy, authority: Certificate
) -> None:
    worker = programs.worker(tls.address, MARKETPLACE, "tls", TEMPORAL_API_KEY="hunter2", **trusting(authority))
    await worker.until_working()

    assert worker.stop() == 0
    assert "hunter2" not in worker.said()


async def test_a_worker_connects_with_a_client_certificate(
    programs: Programs, mutual_tls: TlsProxy, authority: Certificate, folder: Path
) -> None:
    own = showing(certificate(folder, "client", authority))
    worker = programs.worker(mutual_tls.address, MARKETPLACE, "mtls", **trusting(authority), **own)
    await worker.until_working()

    assert worker.stop() == 0


def test_a_server_certificate_of_an_untrusted_authority_ends_the_worker(
    programs: Programs, tls: TlsProxy, stranger: Certificate
) -> None:
    said = refused(programs.worker(tls.address, MARKETPLACE, "tls", **trusting(stranger)))

    assert said.startswith("TEMPORAL_TLS_SERVER_CA_CERT_PATH: the certificate of the server at ")
    assert tls.address in said
    assert "is not trusted (UnknownIssuer). Set it to the certificate of the authority" in said


def test_a_client_certificate_of_an_untrusted_authority_ends_the_worker(
    programs: Programs, mutual_tls: TlsProxy, authority: Certificate, stranger: Certificate, folder: Path
) -> None:
    foreign = showing(certificate(folder, "foreign", stranger))
    said = refused(programs.worker(mutual_tls.address, MARKETPLACE, "mtls", **trusting(authority), **foreign))

    assert said.startswith("TEMPORAL_TLS_CLIENT_CERT_PATH, TEMPORAL_TLS_CLIENT_KEY_PATH: ")
    assert f"{mutual_tls.address} refused the client certificate (UnknownCA). Set them to a certificate" in said


def test_a_missing_client_certificate_ends_the_worker(
    programs: Programs, mutual_tls: TlsProxy, authority: Certificate
) -> None:
    said = refused(programs.worker(mutual_tls.address, MARKETPLACE, "mtls", **trusting(authority)))

    assert said.startswith("TEMPORAL_TLS_CLIENT_CERT_PATH, TEMPORAL_TLS_CLIENT_KEY_PATH: ")
    assert f"{mutual_tls.address} requires a client certificate (CertificateRequired). Set them" in said


def test_an_api_key_is_not_sent_to_a_server_without_tls(programs: Programs, address: str) -> None:
    said = refused(programs.worker(address, MARKETPLACE, "key", TEMPORAL_API_KEY="hunter2"))

    assert said == (
        f"TEMPORAL_API_KEY: TLS is on because of the API key, but the server at {address} does not use TLS. Unset"
        " TEMPORAL_API_KEY for this server, or correct TEMPORAL_ADDRESS\n"
    )
