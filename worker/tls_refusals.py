"""What a failed TLS handshake with Temporal means, and which variable to change.

The SDK renders the errors of its TLS library, rustls, into the text of a `RuntimeError`. This module recognizes them.
"""

import re

from temporalio.envconfig import ClientConnectConfig
from temporalio.service import TLSConfig

ALERTS = r"(?:AlertReceived\(|received fatal alert: )(\w*Certificate\w*|UnknownCA|AccessDenied|HandshakeFailure)"
"""The alerts of a server that refuses a client certificate, or the lack of one, in both renderings."""


def refusal(said: str, options: ClientConnectConfig) -> str | None:
    """Return what is wrong if another attempt cannot help. The sentence begins with the variable.

    Args:
        said: The text of the SDK's error.
        options: The options of the connection.
    """
    address = options["target_host"]
    if "InvalidContentType" in said:
        # The SDK sets True if there is a key and no TLS setting.
        variable, cause = (
            ("TEMPORAL_API_KEY", " because of the API key")
            if options.get("tls") is True
            else ("TEMPORAL_TLS, TEMPORAL_TLS_*", "")
        )
        return (
            f"{variable}: TLS is on{cause}, but the server at {address} does not use TLS. Unset {variable} for this"
            " server, or correct TEMPORAL_ADDRESS"
        )
    if "KeyMismatch" in said:
        return "TEMPORAL_TLS_CLIENT_KEY_PATH: is not the private key of the client certificate"
    if found := re.search(r"InvalidCertificate\((\w+)", said):
        return _server_certificate(found[1], address)
    if found := re.search(ALERTS, said):
        return _client_certificate(found[1], options)
    if "400 Bad Request" in said and options.get("tls"):  # a proxy that asks for certificates, such as nginx
        return _client_certificate("400 Bad Request", options)
    return None


def closed(said: str, options: ClientConnectConfig) -> str | None:
    """Return a likely reason why the server closed a new connection without an alert.

    With TLS 1.3 the handshake is over before the server has seen the client certificate, and the alert that refuses
    the certificate is often lost. A server that is about to stop closes connections, too.
    """
    if "error after connection" not in said or not re.search(
        "connection closed|UnexpectedEof|ConnectionReset|BrokenPipe", said
    ):
        return None
    if not options.get("tls"):
        return "the server closed the connection; it may require TLS (TEMPORAL_TLS)"
    verb = "refuse the" if _has_certificate(options) else "require a"
    return f"the server closed the connection; it may {verb} client certificate (TEMPORAL_TLS_CLIENT_CERT_PATH)"


def _server_certificate(problem: str, address: str) -> str:
    certificate = f"the certificate of the server at {address}"
    if problem.startswith("NotValidForName"):
        return (
            f"TEMPORAL_TLS_SERVER_NAME: {certificate} is for another name. Set it to the name in the certificate,"
            " or correct TEMPORAL_ADDRESS"
        )
    if problem.startswith(("Expired", "NotValidYet")):
        return (
            f"TEMPORAL_ADDRESS: {certificate} has expired or is not valid yet. Renew the certificate, or correct the"
            " clock of this machine"
        )
    return (
        f"TEMPORAL_TLS_SERVER_CA_CERT_PATH: {certificate} is not trusted ({problem}). Set it to the certificate of"
        " the authority that signed the server's"
    )


def _client_certificate(answer: str, options: ClientConnectConfig) -> str:
    variables = "TEMPORAL_TLS_CLIENT_CERT_PATH, TEMPORAL_TLS_CLIENT_KEY_PATH"
    server = f"the server at {options['target_host']}"
    if _has_certificate(options):
        return (
            f"{variables}: {server} refused the client certificate ({answer}). Set them to a certificate of an"
            " authority that the server trusts, and to its private key"
        )
    return (
        f"{variables}: {server} requires a client certificate ({answer}). Set them to a certificate that the server"
        " accepts, and to its private key"
    )


def _has_certificate(options: ClientConnectConfig) -> bool:
    tls = options.get("tls")
    return isinstance(tls, TLSConfig) and tls.client_cert is not None
