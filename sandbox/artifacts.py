"""The service's own copies of logos and other files that an offer names."""

import hashlib
from urllib.parse import quote, urlsplit

STORAGE = "https://sandboxartifacts.blob.core.windows.net"


def stored_address(address: str, folder: str) -> str:
    """Return the address at which the service keeps its copy of a file. A copy's address stays as it is."""
    if address.startswith(STORAGE):
        return address
    name = urlsplit(address).path.rsplit("/", 1)[-1] or "file"
    return f"{STORAGE}/{folder}/{hashlib.sha256(address.encode()).hexdigest()[:16]}/{quote(name)}"
