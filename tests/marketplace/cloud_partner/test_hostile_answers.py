"""Any answer of the marketplace is read or becomes an error of the contract, bounded and without secrets."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from activities.errors import MOST_SPREAD, application_error
from marketplace import errors
from marketplace.cloud_partner import plans
from marketplace.cloud_partner.calls import Portal
from marketplace.cloud_partner.contents import held_images
from marketplace.cloud_partner.edits import edit
from marketplace.cloud_partner.marketplace import CloudPartnerMarketplace
from marketplace.cloud_partner.plans import HeldImage
from marketplace.http.answers import LONGEST_RETRY_AFTER
from marketplace.http.credentials import FixedToken
from marketplace.http.sender import MAX_ANSWER_BYTES
from marketplace.model import Change, Image, OfferDefinition, OfferKey, OperationKind, Slot, WhenFull
from marketplace.protocol import Attempt
from sandbox import DEFAULT_TOKEN, SandboxMarketplace, serve
from tests.apis.cloud_partner import offer_document
from tests.desk import OFFER, PLAN, vhd
from tests.mutations import ODD_CHARACTERS, SAS, SECRET, examples, mutated
from worker.marketplaces import http_client

KEY = OfferKey(publisher_id="fabrikam", offer_id=OFFER)
TOKEN = "token-that-nobody-may-see"
GUID = "0f4c7a1e-63d7-4c0f-9f3a-2a1d7a5be911"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SIGNATURE = "sv=2022-11-02&sr=c&sp=rl&st=2024-01-01T00%3A00%3A00Z&se=2199-01-01T00%3A00%3A00Z&sig=INVENTED"
IMAGE = Image(plan_id=PLAN, version="4.2.1", os_vhd_url=f"{vhd('4.2.1')}?{SIGNATURE}")
CONTRACT = {
    *("InvalidInput", "NotAuthorized", "OfferNotFound", "PlanNotFound", "VersionConflict", "ImageLimitReached"),
    *("ValidationFailed", "MarketplaceError"),
}

DOCUMENT = json.dumps(offer_document("fabrikam", ["4.2.0", "4.1.0"]))
DEFINITION = OfferDefinition(member="offer", text=DOCUMENT)
CHANGE = Change(images=[IMAGE], when_full=WhenFull.REMOVE_OLDEST, limit=2)
USES: dict[str, Callable[[CloudPartnerMarketplace], Awaitable[object]]] = {
    "read a slot": lambda client: client.read_slot(KEY, Slot.PREVIEW),
    "list": lambda client: client.operations(KEY),
    "look": lambda client: client.look(KEY, GUID),
    "look at a go-live": lambda client: client.look(KEY, GUID, OperationKind.GO_LIVE),
    "sign-off": lambda client: client.may_await_sign_off(KEY),
    "put": lambda client: client.put_offer(KEY, DEFINITION, replace=True, sole_writer=True, attempt=Attempt()),
    "put again": lambda client: client.put_offer(
        KEY, DEFINITION, replace=False, sole_writer=True, attempt=Attempt(repeated=True)
    ),
    "publish": lambda client: client.publish(KEY, CHANGE, ["a@b.example"], attempt=Attempt()),
    "go live": lambda client: client.go_live(KEY, GUID, attempt=Attempt()),
    "cancel": lambda client: client.cancel(KEY, GUID, []),
    "plan": lambda client: client.planned_edit(KEY, CHANGE, preview=None, production=None),
    "edit": lambda client: client.edit_images(
        KEY, CHANGE, preview=None, production=None, sole_writer=True, attempt=Attempt()
    ),
}
every_use = pytest.mark.parametrize("use", USES)


@pytest.fixture(scope="module")
async def real_answers() -> dict[str, Any]:
    """The sandbox's answers to each read while an offer is published, and a refusal."""
    marketplace = SandboxMarketplace(default_switches={"step_durations": {"displaydummycertify": 0.0}})
    offer = f"/api/publishers/fabrikam/offers/{OFFER}"
    async with (
        serve(marketplace) as url,
        httpx.AsyncClient(
            base_url=url, params={"api-version": "2017-10-31"}, headers={"Authorization": f"Bearer {DEFAULT_TOKEN}"}
        ) as http,
    ):
        (await http.put(offer, content=DOCUMENT)).raise_for_status()
        (await http.post(f"{offer}/publish", json={"metadata": {"notification-emails": ""}})).raise_for_status()
        listed = (await http.get(f"{offer}/submissions/")).json()
        operation = (await http.get(f"{offer}/operations/{listed[0]['id']}")).json()
        return {
            "offer": (await http.get(offer)).json(),
            "status": (await http.get(f"{offer}/status")).json(),
            "submissions": [{**listed[0], "id": GUID}],
            "operations": {**operation, "id": GUID},
            "refusal": (await http.post(f"{offer}/golive")).json(),
        }


def call_of(request: httpx.Request) -> str:
    last = [part for part in request.url.path.split("/") if part]
    return next((name for name in ("status", "submissions", "operations") if name in last), "offer")


def marketplace_that(answer: Callable[[httpx.Request], httpx.Response]) -> CloudPartnerMarketplace:
    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return CloudPartnerMarketplace(Portal(client, FixedToken(SecretStr(TOKEN)), clock=lambda: NOW), clock=lambda: NOW)


def judge(outcome: object) -> None:
    """Check that an outcome is a value of bounded size or an error of the contract."""
    if isinstance(outcome, errors.MarketplaceError | errors.RuleBroken):
        error = application_error(outcome)
        assert error.type in CONTRACT
        assert len(error.message) <= 3100
        assert error.message.replace("\n", "").isprintable()
        assert SECRET not in error.message
        assert TOKEN not in error.message
        assert "INVENTED" not in error.message
        assert (
            error.next_retry_delay is None
            or timedelta(0) <= error.next_retry_delay <= LONGEST_RETRY_AFTER + MOST_SPREAD
        )
        return
    assert not isinstance(outcome, BaseException), repr(outcome)
    if isinstance(outcome, BaseModel):
        payload = outcome.model_dump_json()  # goes into a history
        assert len(payload) < 250_000
        assert SECRET not in payload


async def outcome_of(use: str, client: CloudPartnerMarketplace) -> object:
    try:
        return await USES[use](client)
    except Exception as error:  # noqa: BLE001 - which one is judged
        return error


@every_use
def test_any_changed_member_of_an_answer_leads_to_a_result_or_an_error_of_the_contract(
    use: str, real_answers: dict[str, Any]
) -> None:
    everything = st.fixed_dictionaries({call: mutated(real_answers[call]) for call in real_answers})

    @examples(12)
    @given(everything, st.sets(st.sampled_from(sorted(real_answers)), min_size=1), st.integers(0, 3))
    def tried(hostile: dict[str, bytes], struck: set[str], refused: int) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            if refused == 3 and request.method != "GET":
                return httpx.Response(400 + len(struck), content=hostile["refusal"])
            call = call_of(request)
            content = hostile[call] if call in struck else json.dumps(real_answers[call]).encode()
            return httpx.Response(200, content=content)

        judge(asyncio.run(outcome_of(use, marketplace_that(answer))))

    tried()


_HEADERS = ["location", "operation-location", "retry-after", "date", "etag", "content-type", "x-ms-request-id"]
_VALUES = [
    *("", "-5", "9" * 400, "1e9", "Fri, 01 Jan 0001 00:00:00 +2359", "Fri, 31 Dec 9999 23:59:59 -2359", "soon"),
    *("http://[", "//evil.example:99999/x", "javascript:alert(1)", "http://xn--a.example/", "x" * 60_000, SAS),
    *(f"https://evil.example/operations/{GUID}", f"/operations/{'9' * 300}", "/operations/%00%1b", "text/html"),
    *(
        "application/json; charset=utf-7",
        "\x1b[31m",
        f"Bearer {SECRET}",
        TOKEN,
        f"/operations/{TOKEN}",
        "é",
        '"\x00"',
    ),
]


@every_use
def test_any_status_headers_and_bytes_lead_to_a_result_or_an_error_of_the_contract(use: str) -> None:
    bodies = st.binary(max_size=200) | st.sampled_from(
        [b"[" * 100_000, ODD_CHARACTERS.encode() * 50, f'{{"message": "{SAS} {TOKEN}'.encode(), b"x" * 300_000]
    )

    @examples(12)
    @given(
        st.sampled_from([200, 201, 202, 204, 301, 304, 400, 401, 403, 404, 408, 409, 412, 422, 429, 500, 503, 999]),
        st.dictionaries(st.sampled_from(_HEADERS), st.sampled_from(_VALUES) | st.text(max_size=20), max_size=3),
        bodies,
        st.sampled_from([None, "gzip", "gzip, gzip", "br", "identity", "nonsense"]),
    )
    def tried(status: int, headers: dict[str, str], body: bytes, packed: str | None) -> None:
        raw = [(name.encode(), value.encode("utf-8", "replace")) for name, value in headers.items()]
        raw += [(b"content-encoding", packed.encode())] if packed else []

        def answer(_: httpx.Request) -> httpx.Response:
            return httpx.Response(status, headers=raw, stream=httpx.ByteStream(body))

        judge(asyncio.run(outcome_of(use, marketplace_that(answer))))

    tried()


Connection = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def service(respond: Connection) -> AsyncIterator[tuple[Portal, httpx.AsyncClient]]:
    """Serve bytes, and yield the client that a worker uses."""

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await respond(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    async with server, http_client() as http:
        port = server.sockets[0].getsockname()[1]
        yield Portal(http, FixedToken(SecretStr(TOKEN)), url=f"http://127.0.0.1:{port}"), http


def responds(head: bytes, body: bytes = b"") -> Connection:
    async def respond(writer: asyncio.StreamWriter) -> None:
        writer.write(head + b"\r\nConnection: close\r\n\r\n" + body)

    return respond


def endless(head: bytes, piece: bytes) -> Connection:
    async def respond(writer: asyncio.StreamWriter) -> None:
        writer.write(head + b"\r\nConnection: close\r\n\r\n")
        while True:
            writer.write(piece)
            await writer.drain()

    return respond


BOMB = gzip.compress(b"\x00" * 30_000_000)
GZIP = b"HTTP/1.1 %d X\r\nContent-Encoding: gzip"


@pytest.mark.parametrize(
    ("respond", "error", "expected"),
    [
        (responds(GZIP % 200, BOMB), errors.Unreadable, "more than 16,777,216 bytes"),
        (responds(GZIP % 500, BOMB), errors.Unavailable, "answered 500"),
        (
            responds(GZIP % 200 + b", gzip", gzip.compress(BOMB)),
            errors.Unreadable,
            "packed as gzip, gzip, not as gzip",
        ),
        (responds(GZIP % 500 + b", gzip", gzip.compress(BOMB)), errors.Unavailable, "answered 500"),
        (endless(b"HTTP/1.1 200 X", b" " * 65_536), errors.Unreadable, "more than 16,777,216 bytes"),
        (endless(b"HTTP/1.1 500 X", b" " * 65_536), errors.Unavailable, "answered 500"),
        (endless(GZIP % 200, BOMB[:10] + b"\x00\x00\x00\xff\xff" * 10_000), errors.Unreadable, "cannot be read"),
        (responds(b"HTTP/1.1 301 X\r\nLocation: javascript:alert(1)"), errors.Refused, "invalid address"),
        (responds(b"HTTP/1.1 301 X\r\nLocation: http://xn--a.example/"), errors.Refused, "invalid address"),
        (responds(b"HTTP/1.1 400 Cr\xe9\xe9\r\nContent-Length: 3", b"{"), errors.Refused, "answered 400"),
        (responds(b"SSH-2.0-OpenSSH"), errors.Unreachable, "no answer"),
        (responds(b"\x16\x03\x01"), errors.Unreachable, "no answer"),
        (responds(b"HTTP/1.1 200 X\r\nX: " + b"x" * 200_000), errors.Unreachable, "no answer"),
    ],
    ids=[
        *("gzip", "gzip, 500", "gzip twice", "gzip twice, 500", "endless", "endless, 500", "endless nothing"),
        *("redirect to a script", "redirect to no host", "reason in Latin-1", "SSH", "TLS", "a long header"),
    ],
)
async def test_answers_are_bounded_on_the_wire(
    respond: Connection, error: type[errors.MarketplaceError], expected: str
) -> None:
    async with service(respond) as (client, http):
        for _ in range(3):
            with pytest.raises(error) as caught:
                await client.read_offer(KEY)
            judge(caught.value)
            assert expected in str(caught.value)
        assert not list(http.cookies.jar)


async def test_bytes_after_the_end_of_a_packed_answer_are_not_waited_for() -> None:
    async def begin(writer: asyncio.StreamWriter) -> None:
        writer.write(GZIP % 200 + b"\r\nConnection: close\r\n\r\n" + gzip.compress(b"{}"))
        while True:
            writer.write(b"\x00" * 65_536)
            await writer.drain()

    async with asyncio.timeout(10), service(begin) as (client, _):
        assert (await client.read_offer(KEY)).text == "{}"


async def test_a_reason_phrase_in_another_alphabet_is_accepted() -> None:
    async with service(responds(b"HTTP/1.1 200 Cr\xe9\xe9\r\nContent-Length: 2", b"{}")) as (client, _):
        assert (await client.read_offer(KEY)).text == "{}"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_carries_the_token_to_another_host(status: int) -> None:
    asked: list[asyncio.StreamWriter] = []

    async def listen(writer: asyncio.StreamWriter) -> None:
        asked.append(writer)

    async with service(listen) as (elsewhere, _):
        head = f"HTTP/1.1 {status} X\r\nLocation: {elsewhere._url}/x\r\nContent-Length: 0".encode()
        async with service(responds(head)) as (client, _):
            for call in (client.read_offer(KEY), client.go_live(KEY), client.put_offer(KEY, "{}", if_match="*")):
                with pytest.raises(errors.Refused, match=str(status)):
                    await call
    assert asked == []


async def test_cookies_are_not_kept() -> None:
    respond = responds(b"HTTP/1.1 200 X\r\nSet-Cookie: a=b; Max-Age=99999\r\nContent-Length: 2", b"{}")
    async with service(respond) as (client, http):
        await client.read_offer(KEY)
        assert not list(http.cookies.jar)


def crowded(plans: int, versions: int, *, data_disks: int = 0) -> str:
    """Return an offer document with many plans and image versions."""
    document = offer_document("fabrikam", [])
    first = document["definition"]["plans"][0]
    disks = [{"lun": lun, "vhdUrl": f"{vhd('d')}?{SIGNATURE}"} for lun in range(data_disks)]
    document["definition"]["plans"] = [
        first
        | {
            "planId": f"plan-{number}",
            "microsoft-azure-virtualmachines.vmImages": {
                f"1.0.{version}": {"osVhdUrl": f"{vhd(f'1.0.{version}')}?{SIGNATURE}", "lunVhdDetails": disks}
                for version in range(versions)
            },
        }
        for number in range(plans)
    ]
    return json.dumps(document)


def wanted(count: int, plans: int) -> list[Image]:
    return [
        Image(plan_id=f"plan-{number % plans}", version=f"1.1.{number}", os_vhd_url=f"{vhd('x')}?{SIGNATURE}")
        for number in range(count)
    ]


def edited(document: str, images: Sequence[Image], **more: Any) -> Any:
    held: list[HeldImage] = held_images(document)
    options: dict[str, Any] = {"preview": held, "production": held, "when_full": WhenFull.FAIL, "limit": 0, **more}
    return edit(document, images, now=NOW, **options)


@pytest.mark.parametrize(("plans", "versions"), [(2000, 1), (1, 4000)], ids=["plans", "versions"])
def test_an_edit_takes_linear_time(plans: int, versions: int) -> None:
    document, images = crowded(plans, versions), wanted(500, plans)
    begun = time.thread_time()
    text, outcome = edited(document, images)
    assert len(outcome.added) == 500
    assert edited(text, images)[0] == text
    # An edit takes a quarter of a second. When every version was read for every image, it took half a minute.
    assert time.thread_time() - begun < 4


def test_a_thousand_of_many_removed_versions_are_named() -> None:
    more = {"preview": [], "production": [], "when_full": WhenFull.REMOVE_OLDEST, "limit": 1}
    text, outcome = edited(crowded(1, 3000), wanted(1, 1), **more)
    assert [held.version for held in held_images(text)] == ["1.1.0"]
    assert len(outcome.removed) == 1000
    assert "3,000 versions were removed" in outcome.warnings[0]


def test_a_thousand_images_give_twenty_warnings() -> None:
    soon = SIGNATURE.replace("2199-01-01", "2026-01-10")
    images = [image.model_copy(update={"os_vhd_url": f"{vhd('x')}?{soon}"}) for image in wanted(1000, 10)]
    _, outcome = edited(crowded(10, 1), images)
    assert len(outcome.warnings) == 21
    assert outcome.warnings[-1] == "… and 980 more."


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ('{"definition": {"plans": [' + "{}," * 100_000 + "{}]}}", "more than 100,000 parts"),
        (
            '{"definition": {"plans": ['
            + ",".join(
                f'{{"planId": "{plan}", "vmImages": {{' + ",".join(f'"{each}": 1' for each in range(500)) + "}}"
                for plan in "abc"
            )
            + "]}}",
            "more than 1,000 image versions",
        ),
        ('{"definition": ' * 3000 + "1" + "}" * 3000, "nested too deeply"),
    ],
    ids=["plans", "images", "depth"],
)
def test_a_document_beyond_a_limit_is_refused_with_the_limit(
    document: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "MAX_IMAGES", 1000)
    begun = time.thread_time()
    with pytest.raises(ValueError, match=expected):
        held_images(document)
    assert time.thread_time() - begun < 2


async def test_a_large_answer_that_is_not_a_document_is_refused_with_the_limit() -> None:
    content = b"[" + b" " * MAX_ANSWER_BYTES + b"]"
    client = marketplace_that(lambda _: httpx.Response(200, content=content))
    with pytest.raises(errors.Unreadable, match="more than 4,194,304 bytes"):
        await client.operations(KEY)


async def test_the_newest_of_ten_thousand_operations_is_found() -> None:
    listed = [
        {"id": f"op-{number}", "submissionType": "publish", "changedTime": f"2024-01-01T00:00:{number % 60:02}Z"}
        for number in range(10_000)
    ] + [{"id": "newest", "submissionType": "publish", "changedTime": "2025-01-01T00:00:00Z"}]
    client = marketplace_that(lambda _: httpx.Response(200, json=listed))
    assert (await client.operations(KEY))[0].id == "newest"
