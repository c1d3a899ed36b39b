"""Fixtures of the whole test suite; each real part has a module in `tests/parts/`."""

import pytest

pytest_plugins = (
    "tests.parts.postgres",
    "tests.parts.ledger",
    "tests.parts.opa",
    "tests.parts.verify_tool",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--faults", choices=("short", "full"), default="short", help="full: 100 kills, and a report"
    )


@pytest.fixture(scope="session")
def is_full(pytestconfig: pytest.Config) -> bool:
    """Whether the faults run in full."""
    return bool(pytestconfig.getoption("--faults") == "full")
