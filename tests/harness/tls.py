"""Make certificates, and end TLS in front of a server as a load balancer or a service mesh does."""

import contextlib
import ipaddress
import select
import socket
import ssl
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

CHUNK = 65536


@dataclass(frozen=True)
class Certificate:
    """A certificate and its private key, in files."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    path: Path
    key_path: Path


def certificate(
    folder: Path, name: str, issuer: Certificate | None = None, host: str = "127.0.0.1", days: int = 1
) -> Certificate:
    """Make a certificate.

    Args:
        folder: Where to write it.
        name: Its common name, and the name of its files.
        issuer: The authority that signs it. With ``None`` it is an authority itself.
        host: The host it is for.
        days: How many days it is valid. With a negative number it has expired.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=7))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer:
        address = x509.IPAddress(ipaddress.ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    signed = builder.sign(issuer.key if issuer else key, hashes.SHA256())
    path, key_path = folder / f"{name}.pem", folder / f"{name}.key"
    path.write_bytes(signed.public_bytes(Encoding.PEM))
    key_path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return Certificate(signed, key, path, key_path)


class TlsProxy:
    """Accepts TLS connections on loopback, and forwards their content to a server without TLS.

    It uses threads. After a failed handshake, asyncio closes a connection without the alert that says why.
    """

    def __init__(self, upstream: str, server: Certificate, clients: Certificate | None = None) -> None:
        """Listen.

        Args:
            upstream: The address of the server without TLS.
            server: The certificate to show to clients.
            clients: The authority that must have signed the certificates of clients. With ``None`` they need none.
        """
        host, _, port = upstream.rpartition(":")
        self._upstream = host, int(port)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(server.path, server.key_path)
        self._context.set_alpn_protocols(["h2"])
        if clients:
            self._context.load_verify_locations(clients.path)
            self._context.verify_mode = ssl.CERT_REQUIRED
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # ends the thread that accepts connections
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as inside:
            try:
                inside.do_handshake()
            except OSError:
                # Read what the client still sends. Closing before would reset the connection, and lose the alert.
                with contextlib.suppress(OSError):
                    inside.shutdown(socket.SHUT_WR)
                    while socket.socket.recv(inside, CHUNK):
                        pass
                return
            with socket.create_connection(self._upstream) as upstream:
                _relay(inside, upstream)


def _relay(inside: ssl.SSLSocket, upstream: socket.socket) -> None:
    try:
        while True:
            ready = [inside] if inside.pending() else select.select([inside, upstream], [], [])[0]
            for source in ready:
                data = source.recv(CHUNK)
                if not data:
                    return
                (upstream if source is inside else inside).sendall(data)
    except OSError:  # one of the two sides was killed
        return
