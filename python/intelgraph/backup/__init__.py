"""A gateway's state as one file: taken while it serves, verified, and restored whole or not at all."""
