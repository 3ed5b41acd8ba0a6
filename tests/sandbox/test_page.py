"""The page at / and the inside view of an offer."""

from tests.sandbox.sandbox_client import DAY, Client


async def test_the_page_shows_offers_steps_and_what_was_changed(client: Client) -> None:
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
    assert "<script" not in page


async def test_the_page_escapes_what_users_wrote(client: Client) -> None:
    await client.switch(success_word="<script>alert(1)</script>")
    await client.published()
    page = (await client.http.get("/")).text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


async def test_the_inside_view_shows_slots_and_operations(client: Client) -> None:
    operation = await client.waiting()
    view = (await client.http.get(f"/_control/offers/{client.publisher}/webstack")).json()
    assert view["slots"]["Draft"]["document"] == client.document
    assert view["slots"]["Preview"]["document"] == client.document
    assert view["slots"]["Production"] is None
    assert view["operations"][0]["id"] == operation
    assert (await client.http.get("/_control/offers/x/y")).status_code == 404


async def test_the_clock_can_be_moved(client: Client) -> None:
    before = await client.clock.now()
    moved = await client.http.post("/_control/clock", json={"advance_seconds": 60})
    assert moved.status_code == 200
    assert (await client.clock.now() - before).total_seconds() == 60
    assert (await client.http.post("/_control/clock", json={"advance_seconds": -1})).status_code == 400
    assert (await client.http.post("/_control/clock", content="[")).status_code == 400
