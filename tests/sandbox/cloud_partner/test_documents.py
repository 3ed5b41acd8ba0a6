"""Documents are answered as they were put, except for the members that the service changes."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.spelled_json import parse, render
from tests.sandbox.portal_client import LISTING, VM, PortalClient

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@given(value=_json, escaped=st.booleans())
@settings(max_examples=200)
def test_any_json_keeps_its_spelling(*, value: Any, escaped: bool) -> None:
    text = json.dumps(value, ensure_ascii=escaped, separators=(",", ":"))
    assert render(parse(text)) == text
    assert render(parse(json.dumps(value, ensure_ascii=escaped, indent=3))) == text


async def test_numbers_escapes_and_order_survive(client: PortalClient) -> None:
    members = r'"z":1.10,"a":1e2,"big":638350915370000001,"e":"caf\u00e9 \/ &","k\u00e9y":-0.0,"n":null'
    text = json.dumps(client.document)[:-1] + "," + members + "}"
    put = await client.put(text)
    assert members in put.text
    assert members in (await client.call("GET", "")).text
    assert await _put_again_changes_nothing(client)


async def _put_again_changes_nothing(client: PortalClient) -> bool:
    first = (await client.call("GET", "")).text
    await client.put(first)
    return (await client.call("GET", "")).text == first


async def test_the_service_adds_drops_and_rewrites_members(client: PortalClient) -> None:
    client.document |= {"eTag": "x", "offerTypeVersions": {VM: 91}, "version": 77}
    listing = client.document["definition"]["offer"]
    listing[f"{LISTING}.smallLogo"] = "https://assets.example/logo.png?sig=x"
    plan = client.document["definition"]["plans"][0]
    plan[f"{VM}.windowsOSType"] = "Other"
    answer = (await client.put()).json()
    offer = answer["definition"]["offer"]
    assert offer[f"{LISTING}-testdrive.videos"] == []
    assert offer[f"{LISTING}.marketoLeadConfiguration"] == {}
    assert answer["definition"]["plans"][0][f"{VM}.certificationsFairfax"] == []
    assert answer["version"] == 1
    assert "eTag" not in answer
    assert "offerTypeVersions" not in answer
    logo = offer[f"{LISTING}.smallLogo"]
    assert logo.startswith("https://sandboxartifacts.blob.core.windows.net/")
    assert f"{VM}.windowsOSType" not in answer["definition"]["plans"][0]
    read = await client.get("")
    assert read["definition"]["plans"][0][f"{VM}.windowsOSType"] == "Other"
    await client.put(read)
    assert (await client.get(""))["definition"]["offer"][f"{LISTING}.smallLogo"] == logo


async def test_the_windows_type_may_be_dropped_everywhere_or_nowhere(client: PortalClient) -> None:
    client.document["definition"]["plans"][0][f"{VM}.windowsOSType"] = "Other"
    await client.switch(windows_os_type_dropped="never")
    assert "windowsOSType" in (await client.put()).text
    await client.switch(windows_os_type_dropped="everywhere")
    assert "windowsOSType" not in (await client.call("GET", "")).text


async def test_documents_may_be_stored_as_they_were_sent(client: PortalClient) -> None:
    await client.switch(normalize_documents=False)
    client.document["eTag"] = "kept"
    await client.put()
    answer = await client.get("")
    assert answer.pop("status") == "neverPublished"
    assert answer.pop("version") == 1
    assert answer.pop("changedTime")
    assert answer == client.document


async def test_documents_are_answered_without_the_secrets_of_lead_systems(client: PortalClient) -> None:
    name = f"{LISTING}.marketoLeadConfiguration"
    client.document["definition"]["offer"][name] = {"clientId": "a", "clientSecret": "hush"}
    await client.put()
    assert (await client.get(""))["definition"]["offer"][name] == {"clientId": "a"}
    await client.switch(secrets_returned=True)
    assert "hush" in (await client.call("GET", "")).text


async def test_a_draft_that_is_read_and_put_again_is_the_same_draft(client: PortalClient) -> None:
    operation = await client.published()
    await client.put((await client.call("GET", "")).text)
    assert operation in (await client.publish()).headers["location"]
