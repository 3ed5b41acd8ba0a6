"""The page at `/`, and the inside view of an offer."""

import httpx

from tests.sandbox.portal_client import DAY, PortalClient


async def test_the_page_shows_offers_steps_changed_switches_and_faults(client: PortalClient) -> None:
    await client.switch(location_form="absolute")
    await client.fault("publish", {"kind": "drop"}, after=5)
    await client.step(
        "displaycertify", outcome="block", messages=["<p>No <b>agent</b> &lt;x&gt; https://a/b.vhd?sig=SECRET</p>"]
    )
    await client.published()
    client.clock.advance(4 * DAY)
    page = (await client.http.get("/")).text
    for text in (
        client.publisher,
        "location_form = absolute",
        "drop at publish",
        "displaycertify: block",
        "blocked",
        "No agent &lt;x&gt; https://a/b.vhd?…",
        "1.0.0",
    ):
        assert text in page, text
    assert "SECRET" not in page


async def test_the_page_escapes_text_from_users(client: PortalClient) -> None:
    await client.switch(success_word="<script>alert(1)</script>")
    await client.published()
    page = (await client.http.get("/")).text
    assert page.count("<script>") == 1  # the page's own
    assert "&lt;script&gt;alert(1)" in page


async def test_an_open_section_keeps_its_id_when_the_page_is_refreshed(client: PortalClient) -> None:
    await client.live()
    name = f"earlier/{client.publisher}/webstack"
    for _ in range(2):
        page = (await client.http.get("/")).text
        client.clock.advance(DAY)
        assert page.count(f'<details id="{name}">') == 1
    script = page.partition("<script>")[2].partition("</script>")[0]
    assert client.publisher not in script
    assert 'http-equiv="refresh"' in page.partition("<noscript>")[2].partition("</noscript>")[0]
    assert page.count('http-equiv="refresh"') == 1  # another refresh would close open sections


async def test_a_read_of_an_empty_slot_is_not_shown_as_a_failure(client: PortalClient) -> None:
    await client.put()
    assert (await client.call("GET", "slot/Preview")).status_code == 404
    calm = '<span class="badge ">404 empty</span>'
    assert calm in _row(await client.http.get("/"), client)
    await client.fault("read_offer", {"kind": "respond", "status": 404})
    assert (await client.call("GET", "slot/Draft")).status_code == 404
    assert '<span class="badge bad">404</span>' in _row(await client.http.get("/"), client)
    assert (await client.call("GET", "operations/nonesuch")).status_code == 404
    assert '<span class="badge bad">404</span>' in _row(await client.http.get("/"), client)


def _row(page: httpx.Response, client: PortalClient) -> str:
    """Return the row of the newest request."""
    row = page.text.partition("<h2>Last requests</h2>")[2].split("<tr>")[2]
    assert f"{client.publisher}/webstack" in row
    return row


async def test_the_inside_view_shows_slots_and_operations(client: PortalClient) -> None:
    operation = await client.waiting()
    view = (await client.http.get(f"/_control/offers/{client.publisher}/webstack")).json()
    assert view["slots"]["Draft"]["document"] == client.document
    assert view["slots"]["Preview"]["document"] == client.document
    assert view["slots"]["Production"] is None
    assert view["operations"][0]["id"] == operation
    assert (await client.http.get("/_control/offers/x/y")).status_code == 404


async def test_the_clock_can_be_moved(client: PortalClient) -> None:
    before = await client.clock.now()
    moved = await client.http.post("/_control/clock", json={"advance_seconds": 60})
    assert moved.status_code == 200
    assert (await client.clock.now() - before).total_seconds() == 60
    assert (await client.http.post("/_control/clock", json={"advance_seconds": -1})).status_code == 400
    assert (await client.http.post("/_control/clock", content="[")).status_code == 400
