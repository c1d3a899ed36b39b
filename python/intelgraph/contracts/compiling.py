"""Contract documents, compiled by the core."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from intelgraph._core import Contract, ContractError
from intelgraph.errors import FieldViolation, InvalidArgument

Compile = Callable[[bytes], Contract]

_KEPT: Final = 256
"""Compiled contracts that a process keeps, of all tenants; one of a hundred fields takes some 100 KiB."""


@lru_cache(maxsize=_KEPT)
def compile_contract(document: bytes) -> Contract:
    """The compiled contract; of the same bytes the same one.

    Raises InvalidArgument CONTRACT_INVALID, with a violation for each fault.
    """
    try:
        return Contract.compile(document)
    except ContractError as error:
        raise InvalidArgument(
            "CONTRACT_INVALID",
            "the contract document was refused",
            fix="mend what the violations name, and publish it again",
            violations=tuple(
                FieldViolation(pointer, f"{rule}: {fix}") for pointer, rule, fix in error.args[2]
            ),
        ) from None
