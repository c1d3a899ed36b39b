"""Fixtures of the whole test suite; each real part has a module in `tests/parts/`."""

pytest_plugins = (
    "tests.parts.postgres",
    "tests.parts.ledger",
    "tests.parts.opa",
    "tests.parts.verify_tool",
)
