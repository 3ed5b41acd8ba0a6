"""A fake service with canned answers, for cases that the sandbox does not cover."""

import json
from collections.abc import Callable
from typing import Any

import httpx
from pydantic import SecretStr

from marketplace.http.credentials import FixedToken
from marketplace.model import OfferKey
from marketplace.product_ingestion.calls import ProductIngestion
from marketplace.product_ingestion.marketplace import ProductIngestionMarketplace
from tests.marketplace.product_ingestion.offers import NOW, TENANT, P, product

OFFER = OfferKey(publisher_id="fabrikam-linux", offer_id="webstack")
JOB = "3d5a6e10-7f44-4e0b-9a53-1c9f0f6be2d7"
BASE = "/rp/product-ingestion/"

Reply = httpx.Response | Exception | dict[str, Any] | str | int | Callable[[httpx.Request], httpx.Response]


class Mocked:
    """Returns answers by method and path, repeats the last one of a list, and records requests."""

    def __init__(self, answers: dict[str, Reply | list[Reply]] | None = None) -> None:
        self.answers: dict[str, list[Reply]] = {"GET product": [{"value": [product()]}]}
        for path, answer in (answers or {}).items():
            self.answers[path] = list(answer) if isinstance(answer, list) else [answer]
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        listed = self.answers.get(self.asked(request), [404])
        answer = listed.pop(0) if len(listed) > 1 else listed[0]
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            return answer(request)
        if isinstance(answer, int):
            return httpx.Response(answer)
        if isinstance(answer, str):
            return httpx.Response(200, text=answer)
        return httpx.Response(200, json=answer) if isinstance(answer, dict) else answer

    @staticmethod
    def asked(request: httpx.Request) -> str:
        """Return the key of a request in the answers: its method, path and target."""
        path = request.url.path.removeprefix(BASE).replace(f"/{P}", "")
        target = request.url.params.get("targetType")
        return f"{request.method} {path}" + (f" {target}" if target else "")

    def calls(self, credentials: Any = None, **members: Any) -> ProductIngestion:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self), follow_redirects=True)
        return ProductIngestion(client, credentials or FixedToken(SecretStr("hunter2-token")), **members)

    def marketplace(self, **members: Any) -> ProductIngestionMarketplace:
        async def pause(_time: object) -> None:
            """Do not wait."""

        given: dict[str, Any] = {"clock": lambda: NOW, "pause": pause, "tenant_id": TENANT} | members
        return ProductIngestionMarketplace(self.calls(), **given)

    def sent(self, key: str = "POST configure") -> list[Any]:
        """Return the bodies of the requests with a key."""
        return [json.loads(each.content) for each in self.requests if self.asked(each) == key]

    @property
    def asked_for(self) -> list[str]:
        """The requests in order."""
        return [self.asked(each) for each in self.requests]


def job(status: str = "completed", result: str = "succeeded", **members: Any) -> dict[str, Any]:
    return {
        "jobId": JOB,
        "jobStatus": status,
        "jobResult": result,
        "jobStart": "2026-03-02T10:05:41.118Z",
        "jobEnd": "0001-01-01T00:00:00",
        "errors": [],
        **members,
    }
