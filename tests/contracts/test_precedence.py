"""The bytes of a version sort as Semantic Versioning 2.0.0 §11 says."""

import itertools

import pytest

from intelgraph.contracts.precedence import precedence

# The standard's own examples, and what tells numbers from text and short from long.
ASCENDING = [
    "0.0.0-0",
    "0.0.0",
    "0.0.1",
    "1.0.0-0",
    "1.0.0-2",
    "1.0.0-10",
    "1.0.0--",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.1.0",
    "1.0.0-alpha.beta",
    "1.0.0-alpha-a",
    "1.0.0-alpha0",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.9.0",
    "1.10.0",
    "2.0.0",
    "2.1.0",
    "2.1.1",
    "10.0.0",
    "18446744073709551615.0.0",
]


@pytest.mark.parametrize(("lower", "higher"), list(itertools.combinations(ASCENDING, 2)))
def test_lower_versions_come_first(lower: str, higher: str) -> None:
    assert precedence(lower) < precedence(higher)
