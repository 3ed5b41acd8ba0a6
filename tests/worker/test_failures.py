"""How failures are written into a history."""

import pytest
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultPayloadConverter
from temporalio.exceptions import ApplicationError

from activities.errors import application_error
from marketplace.errors import Unreachable
from worker.failures import PlainFailures


def written(error: BaseException) -> Failure:
    failure = Failure()
    PlainFailures().to_failure(error, DefaultPayloadConverter(), failure)
    return failure


def answered() -> None:
    raise ConnectionResetError("reset by peer")


def published() -> None:
    try:
        answered()
    except ConnectionResetError as error:
        raise Unreachable("publish a/b: no answer: reset by peer", call="publish a/b") from error


def tried() -> None:
    try:
        published()
    except Unreachable as error:
        raise application_error(error) from error


def test_a_failure_of_the_marketplace_has_no_stack_trace() -> None:
    with pytest.raises(ApplicationError) as raised:
        tried()
    failure = written(raised.value)

    assert failure.message == "publish a/b: no answer: reset by peer"
    assert failure.application_failure_info.type == "MarketplaceError"
    assert failure.cause.application_failure_info.type == "Unreachable"
    assert not failure.cause.HasField("cause")
    assert not failure.stack_trace
    assert not failure.cause.stack_trace


def test_a_defect_keeps_its_stack_trace() -> None:
    with pytest.raises(ConnectionResetError) as raised:
        answered()

    assert "test_failures.py" in written(raised.value).stack_trace
