"""Flags: how an operator backs out of a check or a capability, for one tenant or for a share of all."""
