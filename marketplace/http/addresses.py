"""How ids stand in an address."""

from urllib.parse import quote


def segment(text: str) -> str:
    """Return text as one segment of a path, which it cannot leave."""
    # A segment of dots would be taken for a way up.
    return text.replace(".", "%2E") if text in {".", ".."} else quote(text, safe="", errors="replace")
