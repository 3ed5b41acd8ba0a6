"""The HTTP proxies that the environment names: ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``."""

import os
from collections.abc import Mapping
from urllib.request import getproxies, proxy_bypass

import httpx

from worker.settings import SettingsError

_DEFAULT_PORTS = {"http": 80, "https": 443}


def complete_proxies() -> None:
    """Write ``http://`` before each proxy in the environment that has no scheme.

    httpx and curl do without the scheme. aiohttp, with which azure-identity sends its requests, does not.

    Raises:
        SettingsError: A proxy is wrong.
    """
    read_proxies()
    for name, value in os.environ.items():
        if name.lower() in {"http_proxy", "https_proxy"} and value:
            os.environ[name] = _with_scheme(value)


def read_proxies() -> Mapping[str, httpx.Proxy]:
    """Return the proxy for each scheme of a request that has one.

    Raises:
        SettingsError: A proxy is wrong.
    """
    values = getproxies()
    names = {scheme: scheme if values.get(scheme) else "all" for scheme in _DEFAULT_PORTS}
    return {scheme: _proxy(name, values[name]) for scheme, name in names.items() if values.get(name)}


def is_bypassed(url: httpx.URL) -> bool:
    """Return whether ``NO_PROXY`` has the host of a URL, with or without its port."""
    host = f"[{url.host}]" if ":" in url.host else url.host
    return bool(proxy_bypass(url.host) or proxy_bypass(f"{host}:{url.port or _DEFAULT_PORTS[url.scheme]}"))


def _proxy(name: str, value: str) -> httpx.Proxy:
    variable = f"{name}_proxy" if os.environ.get(f"{name}_proxy") else f"{name.upper()}_PROXY"
    try:
        proxy = httpx.Proxy(_with_scheme(value))
    except (httpx.InvalidURL, ValueError):
        # The value may hold a password.
        raise SettingsError(f"{variable}: must be an HTTP proxy such as http://proxy.example:3128") from None
    if proxy.url.scheme.startswith("socks"):
        raise SettingsError(
            f"{variable}: SOCKS proxies are not supported. Set HTTPS_PROXY and HTTP_PROXY to an HTTP proxy such as"
            f" http://proxy.example:3128, or unset {variable}"
        )
    if not proxy.url.host:
        raise SettingsError(f"{variable}: must be an HTTP proxy such as http://proxy.example:3128")
    return proxy


def _with_scheme(value: str) -> str:
    return value if "://" in value else f"http://{value}"
