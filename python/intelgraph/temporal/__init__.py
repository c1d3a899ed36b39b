"""Entities as they are, as they were and as they came to be; the feed of changes; the check of the log."""
