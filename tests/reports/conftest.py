"""The worlds of nights that run against an emulated org, for reports that need one."""

from tests.sync.conftest import shared_emulator, world

__all__ = ["shared_emulator", "world"]
