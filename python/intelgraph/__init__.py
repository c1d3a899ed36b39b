"""IntelGraph Gateway: records stream in, are checked, compared, sealed, stored and acknowledged."""

__version__ = "0.1.0"
