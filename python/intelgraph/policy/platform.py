"""The platform's bundle: the Rego files in `bundle/`, which ship with the package and fit OPA as they are."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson

from intelgraph._core import PolicyBundle

BUNDLE: Final = Path(__file__).with_name("bundle")


@cache
def platform_bundle() -> PolicyBundle:
    """The bundle, compiled, its tests run. Raises PolicyError if the files are not those that shipped."""
    files = sorted(BUNDLE.glob("*.rego"))
    return PolicyBundle.load([(file.name, file.read_text(encoding="utf-8")) for file in files])


def roles() -> frozenset[str]:
    """Every role there is."""
    return frozenset(_value("names"))


def granted_by() -> Mapping[str, frozenset[str]]:
    """The roles that grant a permission, by permission."""
    return {permission: frozenset(roles) for permission, roles in _value("granted_by").items()}


def across_tenants() -> frozenset[str]:
    """Permissions that are the platform tenant's only."""
    return frozenset(_value("across_tenants"))


def _value(rule: str) -> Any:
    value = platform_bundle().value_of(f"data.intelgraph.roles.{rule}")
    if value is None:
        raise LookupError(f"the bundle has no rule intelgraph.roles.{rule}")
    return orjson.loads(value)
