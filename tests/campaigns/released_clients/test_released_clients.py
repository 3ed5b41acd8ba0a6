"""Two released clients publish through the sandbox's API, unchanged."""

import itertools
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.campaigns.released_clients import environment
from tests.campaigns.released_clients.certificates import Certificates
from tests.campaigns.released_clients.clients import (
    AzureImgUtils,
    AzureImgUtilsGallery,
    Cloudpub,
    CloudpubModular,
    Publisher,
    Rig,
    Wanted,
)
from tests.campaigns.released_clients.front import HOSTS, TOKENS, Front
from tests.campaigns.released_clients.offers import FIRST, GALLERY_VERSION, OTHER_PLAN, PLAN, Offer, vhd
from tests.harness.programs import Programs

MISSING = environment.missing()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))

SPEED = 3_600.0
HOUR = 3_600.0
NEW = "2026.03.01"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    with Programs(tmp_path_factory.mktemp("programs")) as programs:
        yield programs


@pytest.fixture(scope="module")
async def rig(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """A sandbox where an hour takes a second."""
    url = await programs.sandbox("--speed", str(SPEED))
    certificates = Certificates(tmp_path_factory.mktemp("certificates"), HOSTS)
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        yield Rig(programs, http, url, SPEED, certificates)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
async def offer(rig: Rig) -> Offer:
    """A live offer of two plans."""
    made = Offer(rig.http, f"released-{next(_numbers)}")
    await made.bring_live(plans=(PLAN, OTHER_PLAN))
    await made.set_durations(preview=HOUR, live=HOUR)
    return made


async def published(publisher: Publisher, wanted: Wanted) -> None:
    attempt = await publisher.publish(wanted)
    assert await attempt.ended() is None


@pytest.mark.parametrize("client", [Cloudpub, CloudpubModular, AzureImgUtils])
async def test_a_client_adds_a_disk_publishes_it_and_goes_live(
    client: type[Publisher], rig: Rig, offer: Offer, stack: ExitStack
) -> None:
    publisher = client(rig, offer, stack)

    await published(publisher, Wanted(NEW))

    state = await offer.state()
    assert (state.publishes, state.go_lives, state.running) == (1, 1, False)
    assert set(state.versions["Production"][PLAN]) == {FIRST, NEW}
    assert state.versions["Production"][OTHER_PLAN] == [FIRST]
    assert publisher.front.requests(TOKENS)


async def test_cloudpub_changes_nothing_if_its_image_is_already_published(
    rig: Rig, offer: Offer, stack: ExitStack
) -> None:
    publisher = Cloudpub(rig, offer, stack)
    await published(publisher, Wanted(NEW))
    before = len(await offer.requests())

    await published(publisher, Wanted(NEW))

    again = (await offer.requests())[before:]
    assert again
    assert not any(each["effect"] for each in again)


@pytest.mark.parametrize("listed", ["second_live", "preview_and_live"])
async def test_cloudpub_goes_live_in_whatever_order_submissions_are_listed(
    listed: str, rig: Rig, offer: Offer, stack: ExitStack
) -> None:
    await offer.switch(after_go_live=listed)
    publisher = Cloudpub(rig, offer, stack)

    await published(publisher, Wanted(NEW))
    await published(publisher, Wanted("2026.03.02"))

    state = await offer.state()
    assert (state.publishes, state.go_lives) == (2, 2)
    assert set(state.versions["Production"][PLAN]) == {FIRST, NEW, "2026.03.02"}


async def test_cloudpub_publishes_the_edits_of_others_to_another_plan_only_when_it_publishes_the_whole_draft(
    rig: Rig, offer: Offer, stack: ExitStack
) -> None:
    await offer.stranger_adds("9.9.9", OTHER_PLAN)

    await published(CloudpubModular(rig, offer, stack), Wanted(NEW))
    modular = await offer.state()
    await published(Cloudpub(rig, offer, stack), Wanted("2026.03.02"))
    whole = await offer.state()

    assert "9.9.9" not in modular.versions["Production"][OTHER_PLAN]
    assert "9.9.9" in whole.versions["Production"][OTHER_PLAN]


async def test_azure_img_utils_adds_a_gallery_image_publishes_it_and_goes_live(rig: Rig, stack: ExitStack) -> None:
    offer = Offer(rig.http, f"released-{next(_numbers)}")
    await offer.bring_live(with_gallery=True)
    await offer.set_durations(preview=HOUR, live=HOUR)

    await published(AzureImgUtilsGallery(rig, offer, stack), Wanted(NEW))

    assert set((await offer.state()).versions["Production"][PLAN]) == {FIRST, GALLERY_VERSION, NEW}


async def test_the_command_line_of_azure_img_utils_reads_adds_publishes_and_goes_live(
    rig: Rig, offer: Offer, tmp_path: Path
) -> None:
    credentials, document = tmp_path / "credentials.json", tmp_path / "offer.json"
    credentials.write_text(
        json.dumps(
            {
                "activeDirectoryEndpointUrl": "https://login.microsoftonline.com",
                "clientId": "client",
                "clientSecret": "secret",
                "subscriptionId": "subscription",
                "tenantId": "tenant",
            }
        )
    )

    this = ("--offer-id", offer.name)

    def run(front: Front, command: str, *more: str) -> None:
        program = rig.programs.start(
            *(environment.program("azure-img-utils"), "cloud-partner-offer", command, *more),
            *("--no-color", "--credentials-file", str(credentials), "--container", "vhds"),
            environment=front.environment,
        )
        assert program.ended() == 0, program.said()

    with Front(rig.sandbox_url, rig.certificates) as front:
        run(front, "get-offer-document", *this, "--offer-document-file", str(document), "--target-type", "live")
        image = ("--image-name", f"{PLAN}-20260301", "--blob-name", "web.vhd", "--blob-url", vhd(NEW))
        run(front, "add-image-to-offer", *this, *image, "--sku", PLAN, "--generation-id", f"{PLAN}-gen1")
        run(front, "publish", *this)
        await offer.until_idle()
        run(front, "go-live", *this)
        await offer.until_idle()
        run(front, "remove-image-from-offer", "--image-urn", f"{offer.publisher}:{offer.name}:{PLAN}:{FIRST}")

    live = [each["$schema"].split("/")[-2] for each in json.loads(document.read_text())["resources"]]
    assert {"product", "plan", "submission"} <= set(live)
    state = await offer.state()
    assert (state.publishes, state.go_lives) == (1, 1)
    assert set(state.versions["Production"][PLAN]) == {FIRST, NEW}
    assert await offer.lifecycle(FIRST) == "deprecated"


async def test_no_request_of_a_client_leaves_this_machine(rig: Rig) -> None:
    with Front(rig.sandbox_url, rig.certificates) as front:
        context = ssl.create_default_context(cafile=rig.certificates.authority)
        async with httpx.AsyncClient(proxy=front.url, verify=context) as http:
            assert (await http.get("https://graph.microsoft.com/healthz")).json() == {"status": "ok"}
            with pytest.raises(httpx.ProxyError, match="403"):
                await http.get("https://management.azure.com/")
            assert (await http.get("http://management.azure.com/")).status_code == 403
