"""Fixtures of the tests of backups."""

from tests.provenance.log_world import log_world

__all__ = ["log_world"]
