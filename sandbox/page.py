"""The page at `/`."""

from datetime import datetime

from sandbox.marketplace import SandboxMarketplace


def render_page(marketplace: SandboxMarketplace, now: datetime) -> str:
    """A first page."""
    return f"<h1>Sandbox</h1><p>{now}</p><p>{len(marketplace.state.publishers)} publishers</p>"
