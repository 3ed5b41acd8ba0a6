"""A Temporal development server for tests that the time-skipping server cannot run."""

from collections.abc import AsyncIterator

import pytest
from temporalio.testing import WorkflowEnvironment

from sandbox.demo import find_temporal
from worker.registration import create_data_converter


@pytest.fixture(scope="session")
async def server() -> AsyncIterator[WorkflowEnvironment]:
    async with await WorkflowEnvironment.start_local(
        data_converter=create_data_converter(), dev_server_existing_path=find_temporal()
    ) as environment:
        yield environment
