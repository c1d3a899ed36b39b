"""What the documents for operators say about settings, roles and reasons is what the code does."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from intelgraph import errors
from intelgraph.errors import IntelGraphError
from intelgraph.gateway.settings import ENVIRONMENT_PREFIX, Settings
from intelgraph.policy.platform import granted_by, roles

ROOT = Path(__file__).resolve().parents[2]
OPERATORS = (ROOT / "docs/operators.md").read_text()
ERRORS = (ROOT / "docs/errors.md").read_text()
SOURCES = {
    file: file.read_text()
    for file in (ROOT / "python/intelgraph").rglob("*.py")
    if "/gateway/v1/" not in file.as_posix()
}
REASON = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|INTERNAL")
RUST_REASON = re.compile(r'=> "([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+)"')


def setting_rows(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[str]:
    """A row of the table for each setting."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from setting_rows(field.annotation, f"{prefix}{name}.")
        else:
            default = "" if field.default is None else f"`{field.default}`"
            yield f"| `{prefix}{name}` | {default} | {field.description} |"


@pytest.mark.parametrize("row", list(setting_rows()))
def test_every_setting_is_documented(row: str) -> None:
    assert row in OPERATORS.splitlines()


def test_no_setting_is_documented_that_there_is_not() -> None:
    documented = {line for line in OPERATORS.splitlines() if re.match(r"\| `[a-z_.]+` \| (`.*`)? \| ", line)}
    assert documented == set(setting_rows())


def test_variables_named_in_the_document_exist() -> None:
    for variable in set(re.findall(rf"\b{ENVIRONMENT_PREFIX}[A-Z_]+", OPERATORS)):
        path = variable.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".")
        assert f"| `{path}` |" in OPERATORS, variable


def test_roles_and_their_permissions_are_documented() -> None:
    for role in roles():
        permissions = {permission for permission, granting in granted_by().items() if role in granting}
        (line,) = [line for line in OPERATORS.splitlines() if line.startswith(f"| `{role}` |")]
        assert set(re.findall(r"`([a-z]+\.[a-z_]+)`", line)) == permissions


def error_classes() -> set[str]:
    """Names of the classes that carry a reason."""
    found: set[str] = set()
    pending = [IntelGraphError]
    while pending:
        pending += (subclasses := pending.pop().__subclasses__())
        found |= {kind.__name__ for kind in subclasses}
    return found


def raised_reasons() -> dict[str, str]:
    """Reasons that the gateway's Python gives its errors, each with a file that does."""
    classes = error_classes()
    reasons: dict[str, str] = {}
    for file, source in SOURCES.items():
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name not in classes:
                continue
            given = [*node.args[:1], *(each.value for each in node.keywords if each.arg == "reason")]
            for constant in (inner for value in given for inner in ast.walk(value)):
                if isinstance(constant, ast.Constant) and REASON.fullmatch(str(constant.value)):
                    reasons[str(constant.value)] = file.name
    return reasons


def core_reasons() -> set[str]:
    """Reasons of the core's error tables."""
    sources = (file.read_text() for file in (ROOT / "crates").glob("*/src/**/*.rs"))
    return {reason for source in sources for reason in RUST_REASON.findall(source)}


def documented_reasons() -> set[str]:
    """The first column of the tables of reasons."""
    return set(re.findall(rf"^\| `({REASON.pattern})` \|", ERRORS, re.MULTILINE))


def test_every_reason_is_documented() -> None:
    assert len(raised_reasons()) > 50
    missing = (set(raised_reasons()) | core_reasons()) - documented_reasons()
    assert not missing


def test_no_reason_is_documented_that_nothing_gives() -> None:
    text = "\n".join(SOURCES.values())
    known = core_reasons() | set(REASON.findall(text))
    stale = documented_reasons() - known
    assert not stale


def test_reasons_are_listed_once_and_in_order() -> None:
    listed = re.findall(rf"^\| `({REASON.pattern})` \|", ERRORS, re.MULTILINE)
    assert len(listed) == len(set(listed))


def test_every_class_is_a_code_of_its_own() -> None:
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, IntelGraphError)
    ]
    codes = [kind.code for kind in kinds if kind is not IntelGraphError]
    assert len(codes) == len(set(codes)) == 12


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.stem)
def test_a_heading_follows_an_empty_line(page: Path) -> None:
    # Behind a table it would be another row of it.
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert re.findall(r"^.+\n(#+ .*)", text, re.MULTILINE) == []
