"""Switches of the sandbox that several campaigns set."""

from typing import Any

WITHOUT_ETAGS: dict[str, Any] = {"etag_on_get": False, "etag_on_put": False}
REFUSING_EDITS: dict[str, Any] = {"edits_while_running": "refuse"}
