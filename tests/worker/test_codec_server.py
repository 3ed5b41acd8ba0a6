"""Which callers get plaintext from the codec server."""

import contextlib
from collections.abc import AsyncIterator, Collection

import httpx
import pytest
from aiohttp import web
from google.protobuf.json_format import MessageToDict
from pydantic import SecretStr
from temporalio.api.common.v1 import Payload

from worker import codec_server
from worker.codec_server import ORIGINS, application, main
from worker.encryption import EncryptionCodec

KEY = b"o" * 32
UI = "http://localhost:8233"
TOKEN = "invented-token-1"
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"a secret"')
BODY = {"payloads": [MessageToDict(PLAIN)]}


@contextlib.asynccontextmanager
async def serving(
    origins: Collection[str] = ORIGINS, hosts: Collection[str] = (), token: str | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    app = application(EncryptionCodec({"key": KEY}), origins, hosts, SecretStr(token) if token else None)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{runner.addresses[0][1]}") as client:
        yield client
    await runner.cleanup()


@pytest.fixture
async def server() -> AsyncIterator[httpx.AsyncClient]:
    async with serving() as client:
        yield client


@pytest.fixture
async def guarded() -> AsyncIterator[httpx.AsyncClient]:
    """A codec server that needs a token."""
    async with serving(token=TOKEN) as client:
        yield client


async def sealed() -> dict[str, object]:
    [payload] = await EncryptionCodec({"key": KEY}).encode([PLAIN])
    return {"payloads": [MessageToDict(payload)]}


async def test_it_decodes_what_it_encodes(server: httpx.AsyncClient) -> None:
    encoded = (await server.post("/encode", json=BODY)).json()
    decoded = await server.post("/decode", json=encoded, headers={"Origin": UI})

    assert encoded["payloads"][0]["metadata"]["encoding"] == "YmluYXJ5L2VuY3J5cHRlZA=="
    assert decoded.json() == BODY


@pytest.mark.parametrize("path", ["/decode", "/codec/default/decode", "/decode?preserveStorageRefs=true"])
async def test_only_the_end_of_the_path_counts(server: httpx.AsyncClient, path: str) -> None:
    assert (await server.post(path, json=await sealed())).json() == BODY


@pytest.mark.parametrize("body", ["", "nonsense", "[1]", '{"payloads": 7}', '{"unknown": []}'])
async def test_it_refuses_a_body_that_is_not_a_list_of_payloads(server: httpx.AsyncClient, body: str) -> None:
    assert (await server.post("/decode", content=body)).status_code == 400


# Origins


@pytest.mark.parametrize("origin", ORIGINS)
async def test_it_answers_the_local_ui_under_both_of_its_origins(server: httpx.AsyncClient, origin: str) -> None:
    answer = await server.post("/decode", json=await sealed(), headers={"Origin": origin})

    assert answer.json() == BODY
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert answer.headers["Vary"] == "Origin"


async def test_given_origins_replace_the_local_ui() -> None:
    own = ["https://temporal.fabrikam.example", "http://127.0.0.1:8080"]
    async with serving(own) as server:
        statuses = [
            (await server.post("/decode", json=BODY, headers={"Origin": origin})).status_code for origin in [*own, UI]
        ]

    assert statuses == [200, 200, 403]


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://localhost:8234",
        "https://localhost:8233",
        "http://localhost:8233.evil.example",
        "null",
        "*",
        "",
    ],
)
@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
async def test_a_web_page_of_another_origin_gets_nothing(server: httpx.AsyncClient, method: str, origin: str) -> None:
    answer = await server.request(method, "/decode", json=await sealed(), headers={"Origin": origin})

    assert answer.status_code == 403
    assert "json/plain" not in answer.text
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_a_browser_may_send_what_the_ui_sends(server: httpx.AsyncClient) -> None:
    """Send the headers of the UI with *Pass the user access token* and *Include cross-origin credentials*."""
    asked = ["authorization", "authorization-extras", "content-type", "x-namespace"]
    preflight = await server.options(
        "/decode?preserveStorageRefs=true",
        headers={
            "Origin": UI,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": ",".join(asked),
        },
    )

    assert preflight.status_code == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == UI
    assert preflight.headers["Access-Control-Allow-Credentials"] == "true"
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert set(asked) <= set(preflight.headers["Access-Control-Allow-Headers"].split(", "))


@pytest.mark.parametrize(("path", "status"), [("/decode", 400), ("/nonesuch", 404)])
async def test_the_ui_may_read_why_it_is_refused(server: httpx.AsyncClient, path: str, status: int) -> None:
    answer = await server.post(path, content="nonsense", headers={"Origin": UI})

    assert answer.status_code == status
    assert answer.headers["Access-Control-Allow-Origin"] == UI


# Host names


@pytest.mark.parametrize("host", ["localhost", "localhost:8081", "LOCALHOST:8081", "127.0.0.1:8081", "[::1]:8081"])
async def test_it_is_reached_as_localhost_and_by_ip_address(server: httpx.AsyncClient, host: str) -> None:
    assert (await server.post("/decode", json=await sealed(), headers={"Host": host})).json() == BODY


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8081", "localhost.evil.example", "127.0.0.1.evil.example", "a:b:c", ""]
)
@pytest.mark.parametrize("origin", [None, UI])
async def test_a_page_whose_host_name_resolves_to_this_machine_gets_nothing(
    server: httpx.AsyncClient, host: str, origin: str | None
) -> None:
    headers = {"Host": host} | ({"Origin": origin} if origin else {})
    answer = await server.post("/decode", json=await sealed(), headers=headers)

    assert answer.status_code in {400, 403}  # 400 if the host name is invalid
    assert "json/plain" not in answer.text
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_its_own_host_names_can_be_added() -> None:
    async with serving(hosts=["codec.fabrikam.example"]) as server:
        own = await server.post("/decode", json=BODY, headers={"Host": "codec.fabrikam.example"})
        other = await server.post("/decode", json=BODY, headers={"Host": "other.fabrikam.example"})

    assert (own.status_code, other.status_code) == (200, 403)


# The token


async def test_with_the_token_it_decodes(guarded: httpx.AsyncClient) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}

    assert (await guarded.post("/decode", json=await sealed(), headers=headers)).json() == BODY


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer wrong", TOKEN, f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer é"]
)
@pytest.mark.parametrize("call", ["encode", "decode", "nonesuch"])
async def test_without_the_token_it_does_nothing(guarded: httpx.AsyncClient, call: str, given: str) -> None:
    headers = {b"Authorization": given.encode()} if given else {}
    answer = await guarded.post(f"/{call}", json=await sealed(), headers=headers)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "json/plain" not in answer.text
    assert TOKEN not in answer.text


async def test_a_preflight_request_needs_no_token(guarded: httpx.AsyncClient) -> None:
    assert (await guarded.options("/decode", headers={"Origin": UI})).status_code == 204


async def test_a_server_without_a_token_ignores_the_token_that_the_ui_sends(server: httpx.AsyncClient) -> None:
    headers = {"Origin": UI, "Authorization": "Bearer somebody's", "Authorization-Extras": "an ID token"}

    assert (await server.post("/decode", json=await sealed(), headers=headers)).json() == BODY


# The command line


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The arguments with which `main` makes its server. It does not serve."""
    made: dict[str, object] = {}

    def note(codec: EncryptionCodec, origins: object, hosts: object, token: object) -> None:
        made.update(origins=list(origins), hosts=list(hosts), token=token)  # type: ignore[call-overload]

    monkeypatch.setattr(codec_server, "application", note)
    monkeypatch.setattr(web, "run_app", lambda *_, **__: None)
    monkeypatch.setenv("PAYLOAD_ENCRYPTION_KEYS", "key:b29vb29vb29vb29vb29vbw==")
    monkeypatch.delenv("CODEC_SERVER_TOKEN", raising=False)
    return made


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["codec_server", *words])
    return main()


def test_several_origins_and_hosts_may_be_given(monkeypatch: pytest.MonkeyPatch, started: dict[str, object]) -> None:
    origins = ("--origin", "https://Temporal.Fabrikam.example/", "--origin", "http://127.0.0.1:8080")
    assert run(monkeypatch, *origins, "--allowed-host", "Codec.fabrikam.example") == 0

    assert started["origins"] == ["https://temporal.fabrikam.example", "http://127.0.0.1:8080"]
    assert started["hosts"] == ["127.0.0.1", "codec.fabrikam.example"]
    assert started["token"] is None


@pytest.mark.parametrize(
    "origin", ["*", "null", "temporal.example", "https://", "ftp://a", "https://a/ui", "https://u@a"]
)
def test_an_invalid_origin_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], started: dict[str, object], origin: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, "--origin", origin)

    assert ended.value.code == 2
    assert "is not an origin such as https://temporal.example" in capsys.readouterr().err
    assert not started


def test_the_token_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, started: dict[str, object]) -> None:
    monkeypatch.setenv("CODEC_SERVER_TOKEN", f"{TOKEN}\n")
    assert run(monkeypatch) == 0

    assert started["token"] == SecretStr(TOKEN)


def test_a_short_token_is_a_wrong_configuration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], started: dict[str, object]
) -> None:
    monkeypatch.setenv("CODEC_SERVER_TOKEN", "hunter2")
    assert run(monkeypatch) == 2

    said = capsys.readouterr().err
    assert said == "Wrong configuration: CODEC_SERVER_TOKEN: must be a secret of at least 16 characters\n"
    assert not started


def test_variables_that_only_the_worker_reads_are_not_checked(
    monkeypatch: pytest.MonkeyPatch, started: dict[str, object]
) -> None:
    monkeypatch.setenv("MARKETPLACE_URL", "nowhere")
    assert run(monkeypatch) == 0

    assert started


@pytest.mark.parametrize(
    ("host", "token", "warned"),
    [("0.0.0.0", None, True), ("0.0.0.0", TOKEN, False), ("127.0.0.1", None, False), ("localhost", None, False)],  # noqa: S104
)
def test_it_warns_if_everybody_can_read_payloads(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    started: dict[str, object],
    host: str,
    token: str | None,
    warned: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setenv("CODEC_SERVER_TOKEN", token or "")
    assert run(monkeypatch, "--host", host) == 0

    assert (f"everybody who reaches {host}:8081 can read every payload" in capsys.readouterr().err) == warned
