"""Fixtures of the ledger's tests."""

from tests.provenance.log_world import log_world

__all__ = ["log_world"]
