"""Page tokens: they lead on where the page ended, and nowhere else."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intelgraph.errors import InvalidArgument
from intelgraph.gateway.page_token import PageScope, page_size

SCOPE = PageScope(UUID(int=1), ("ListContracts", "flights"))


@given(st.text(), st.integers(-(2**63), 2**63 - 1))
def test_a_token_leads_to_where_it_was_made_and_is_safe_in_a_url(name: str, number: int) -> None:
    token = SCOPE.token((name, number))
    assert SCOPE.position(token, str, int) == (name, number)
    assert token.replace("-", "").replace("_", "").isalnum()


def test_no_token_is_the_first_page() -> None:
    assert SCOPE.position("", str) is None


@pytest.mark.parametrize(
    "other",
    [
        PageScope(UUID(int=2), SCOPE.question),
        PageScope(SCOPE.tenant_id, ("ListContracts", "weather")),
        PageScope(SCOPE.tenant_id, ("ListContracts",)),
    ],
)
def test_a_token_of_another_tenant_or_question_is_refused(other: PageScope) -> None:
    _refused(other.token(("a",)))


@given(st.text(max_size=80))
def test_what_is_no_token_is_refused(text: str) -> None:
    if text:
        _refused(text)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_an_altered_token_is_refused(at: int, flip: int) -> None:
    token = bytearray(SCOPE.token(("a",)).encode())
    token[at % len(token)] ^= flip
    _refused(token.decode("latin-1"))


def test_a_token_of_other_values_is_refused() -> None:
    _refused(SCOPE.token((7,)))
    _refused(SCOPE.token(("a", "b")))


@pytest.mark.parametrize(("asked", "size"), [(0, 50), (1, 1), (500, 500), (501, 500)])
def test_a_page_has_a_default_and_a_greatest_size(asked: int, size: int) -> None:
    assert page_size(asked, default=50, most=500) == size


def _refused(token: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        SCOPE.position(token, str)
    assert caught.value.reason == "PAGE_TOKEN_INVALID"
