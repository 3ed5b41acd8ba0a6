"""A service with canned answers, and credentials with numbered tokens."""

import httpx


class CannedService:
    """Returns the given answers in turn, repeats the last one, and records requests."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self) -> httpx.AsyncClient:
        """Return a client of the service that would follow redirects."""
        return httpx.AsyncClient(transport=httpx.MockTransport(self), follow_redirects=True)


class NumberedTokens:
    """Provides a new token on each renewal: ``hunter2-1``, ``hunter2-2``."""

    def __init__(self) -> None:
        self.number = 1

    async def token(self) -> str:
        return f"hunter2-{self.number}"

    async def renewed(self, _refused: str, /) -> str:
        self.number += 1
        return await self.token()

    async def close(self) -> None:
        """Do nothing."""
