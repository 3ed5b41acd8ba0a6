import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from worker.marketplaces import http_client

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Service:
    """A service that answers every request with the same bytes and hangs up."""

    def __init__(self, answer: bytes, delay: float = 0.0) -> None:
        self.requests: list[bytes] = []
        self.url = ""
        self._answer = answer
        self._delay = delay

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        await asyncio.sleep(self._delay)
        writer.write(self._answer)
        writer.close()


@asynccontextmanager
async def service(answer: bytes, delay: float = 0.0) -> AsyncIterator[tuple[Service, httpx.AsyncClient]]:
    there = Service(answer, delay)
    server = await asyncio.start_server(there.serve, "127.0.0.1", 0)
    there.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with http_client() as client:
        yield there, client
    server.close()


async def test_an_answer_is_the_same_as_with_the_transport_of_httpx() -> None:
    async with service(b"HTTP/1.1 202 Accepted\r\nLocation: /x\r\nContent-Length: 2\r\n\r\n{}") as (there, client):
        answer = await client.post(there.url, content=b"", headers={"Content-Length": "0"})

    assert (answer.status_code, answer.headers["location"], answer.text) == (202, "/x", "{}")
    assert b"content-length: 0\r\n" in there.requests[0].lower()


async def test_a_write_whose_connection_broke_is_not_sent_again() -> None:
    async with service(b"") as (there, client):
        with pytest.raises(httpx.ReadError):
            await client.put(there.url, content=b"{}")

    assert len(there.requests) == 1


@pytest.mark.parametrize(
    ("answer", "delay", "error"),
    [
        (b"", 0, httpx.ReadError),
        (b"no HTTP\r\n\r\n", 0, httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", 0, httpx.ReadError),
        (OK, 30, httpx.ReadTimeout),
    ],
    ids=["nothing", "nonsense", "half a body", "too late"],
)
async def test_a_failed_exchange_raises_the_same_error_as_httpx(
    answer: bytes, delay: float, error: type[Exception]
) -> None:
    async with service(answer, delay) as (there, client):
        with pytest.raises(error):
            await client.get(there.url, timeout=0.3)


async def test_a_closed_port_raises_a_connect_error() -> None:
    async with service(OK) as (there, _):
        pass
    async with http_client() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(there.url)


@pytest.mark.parametrize("form", ["http://{}", "{}"])
async def test_the_proxy_from_the_environment_is_used(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    async with service(OK) as (there, _):
        monkeypatch.setenv("http_proxy", form.format(there.url.removeprefix("http://")))
        monkeypatch.delenv("no_proxy", raising=False)
        async with http_client() as client:
            await client.get("http://marketplace.example/offers")

    assert there.requests[0].startswith(b"GET http://marketplace.example/offers ")


async def test_a_refusing_proxy_raises_the_same_error_as_httpx(monkeypatch: pytest.MonkeyPatch) -> None:
    async with service(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n") as (there, _):
        monkeypatch.setenv("https_proxy", there.url)
        monkeypatch.delenv("no_proxy", raising=False)
        async with http_client() as client:
            with pytest.raises(httpx.ProxyError, match="407"):
                await client.get("https://marketplace.example/offers")


@pytest.mark.parametrize("entry", ["127.0.0.1", "127.0.0.1:{port}", "marketplace.example, 127.0.0.1:{port}"])
async def test_a_host_in_no_proxy_is_reached_directly(monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    async with service(OK) as (there, _):
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.setenv("no_proxy", entry.format(port=httpx.URL(there.url).port))
        async with http_client() as client:
            await client.get(there.url)

    assert len(there.requests) == 1


async def test_a_port_that_no_proxy_does_not_list_is_reached_through_the_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with service(OK) as (there, _):
        monkeypatch.setenv("http_proxy", there.url)
        monkeypatch.setenv("no_proxy", "marketplace.example:8400")
        async with http_client() as client:
            await client.get("http://marketplace.example:8401/offers")

    assert there.requests[0].startswith(b"GET http://marketplace.example:8401/offers ")


async def test_a_password_in_netrc_does_not_replace_the_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login dana password of-something-else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with service(OK) as (there, _):
        monkeypatch.setenv("http_proxy", there.url)
        monkeypatch.delenv("no_proxy", raising=False)
        async with http_client() as client:
            await client.get("http://marketplace.example/offers", headers={"Authorization": "Bearer a-token"})

    assert b"authorization: bearer a-token\r\n" in there.requests[0].lower()
