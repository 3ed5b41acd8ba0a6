"""A local, stateful emulator of the marketplace and of both its publishing APIs."""

from sandbox.app import create_app
from sandbox.clock import Clock, ManualClock, SpeedClock
from sandbox.marketplace import DEFAULT_TOKEN, SandboxMarketplace
from sandbox.server import serve

__all__ = ["DEFAULT_TOKEN", "Clock", "ManualClock", "SandboxMarketplace", "SpeedClock", "create_app", "serve"]
