"""The worker's log: text for people or JSON for machines, without secrets."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

from temporalio import activity, workflow

from marketplace.sas import redacted


def set_up_logging(level: str, log_format: Literal["text", "json"]) -> None:
    """Log to standard error; Python's warnings too, so that every line has the same form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if log_format == "json" else _Text())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    # One line a request, with its URL, and one a token: the activities say what was done.
    for chatty in ("httpx", "httpcore", "azure", "aiohttp"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLevelName(level)))
    if log_format == "json":
        # The ids are members of their own in JSON.
        workflow.logger.workflow_info_on_message = False
        activity.logger.activity_info_on_message = False


class _Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-8s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": redacted(record.getMessage()),
        }
        for member in ("temporal_workflow", "temporal_activity"):
            if hasattr(record, member):
                line[member] = getattr(record, member)
        if record.exc_info:
            line["exception"] = redacted(self.formatException(record.exc_info))
        return json.dumps(line, default=str)
