"""The worker's log, as text for people or JSON for machines, without SAS signatures."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError

from marketplace.sas import redacted

IDS = ("temporal_workflow", "temporal_activity")
"""Attributes with IDs, which the SDK adds to log records of runs and activities."""

SHOWN = ("activity_type", "workflow_id", "run_id", "workflow_run_id")
"""The IDs that a line of text shows."""


def set_up_logging(level: str, log_format: Literal["text", "json"]) -> None:
    """Log to standard error, including Python's warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if log_format == "json" else _Text())
    handler.addFilter(_without_trace)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    # These log one line for each request and token. The activities log what matters.
    for chatty in ("httpx", "httpcore", "azure", "aiohttp"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLevelName(level)))
    # The formatters below show the IDs, and fewer of them than the SDK would put into the message.
    workflow.logger.workflow_info_on_message = False
    activity.logger.activity_info_on_message = False


def _without_trace(record: logging.LogRecord) -> bool:
    """Replace the stack trace of an error that was raised on purpose by its message."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, ApplicationError):
        record.msg, record.args = f"{record.getMessage()}: {error}", ()
        record.exc_info = record.exc_text = None
    return True


class _Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-8s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Append the IDs of the run."""
        ids: dict[str, object] = next((getattr(record, member) for member in IDS if hasattr(record, member)), {})
        names = [str(ids[name]) for name in SHOWN if name in ids]
        return super().formatMessage(record) + (f" ({', '.join(names)})" if names else "")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": redacted(record.getMessage()),
        }
        for member in ("offer", *IDS):
            if hasattr(record, member):
                line[member] = getattr(record, member)
        if record.exc_info:
            line["exception"] = redacted(self.formatException(record.exc_info))
        return json.dumps(line, default=str)
