import os

import httpx
import pytest

from worker.marketplaces import http_client
from worker.proxies import complete_proxies, is_bypassed, read_proxies
from worker.settings import SettingsError


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_all_proxy_applies_to_schemes_without_a_proxy_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "all.example:1")
    monkeypatch.setenv("HTTPS_PROXY", "https.example:2")

    assert {scheme: str(proxy.url) for scheme, proxy in read_proxies().items()} == {
        "http": "http://all.example:1",
        "https": "http://https.example:2",
    }


def test_a_proxy_without_a_scheme_gets_one_for_azure_identity_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "dana:hunter2@proxy.example:3128")
    monkeypatch.setenv("http_proxy", "http://other.example:3128")
    complete_proxies()

    assert os.environ["HTTPS_PROXY"] == "http://dana:hunter2@proxy.example:3128"
    assert os.environ["http_proxy"] == "http://other.example:3128"


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("socks5://dana:hunter2@proxy.example:1080", "SOCKS proxies are not supported. Set HTTPS_PROXY"),
        ("ftp://dana:hunter2@proxy.example", "must be an HTTP proxy such as http://"),
        ("http://proxy.example:hunter2", "must be an HTTP proxy such as http://"),
        ("http://", "must be an HTTP proxy such as http://"),
    ],
)
def test_a_wrong_proxy_is_refused_at_the_start_and_not_quoted(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    for read in (complete_proxies, http_client):
        with pytest.raises(SettingsError) as refused:
            read()
        assert str(refused.value).startswith(f"{variable}: {said}")
        assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("entry", "url", "bypassed"),
    [
        ("marketplace.example", "https://marketplace.example/x", True),
        ("marketplace.example:443", "https://marketplace.example/x", True),
        ("marketplace.example:80", "https://marketplace.example/x", False),
        ("marketplace.example:8400", "http://marketplace.example:8400/x", True),
        (".example:8400", "http://marketplace.example:8400/x", True),
        ("other.example:8400", "http://marketplace.example:8400/x", False),
        ("::1", "http://[::1]:8400/x", True),
        ("[::1]:8400", "http://[::1]:8400/x", True),
        ("[::1]:8401", "http://[::1]:8400/x", False),
        ("*", "https://marketplace.example/x", True),
    ],
)
def test_no_proxy_names_hosts_with_or_without_a_port(
    monkeypatch: pytest.MonkeyPatch,
    entry: str,
    url: str,
    bypassed: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setenv("NO_PROXY", entry)

    assert is_bypassed(httpx.URL(url)) is bypassed
