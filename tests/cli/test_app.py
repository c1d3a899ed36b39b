"""The frame of the command line: shared options anywhere, verbs, help, and how errors end."""

import importlib
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intelgraph import __version__, errors
from intelgraph.cli.app import VERBS, hoist_shared_options, main
from intelgraph.cli.refusal import exit_code_of
from intelgraph.errors import IntelGraphError


@pytest.mark.parametrize(
    ("given_arguments", "hoisted"),
    [
        (["entity", "get", "--json"], ["--json", "entity", "get"]),
        (["token", "--role", "a", "--data-dir", "d"], ["--data-dir", "d", "token", "--role", "a"]),
        (["token", "--data-dir=d", "--role", "a"], ["--data-dir=d", "token", "--role", "a"]),
        (["ingest", "--", "--json"], ["ingest", "--", "--json"]),
        (["ingest", "--token"], ["--token", "ingest"]),
        (["--server", "s", "ingest"], ["--server", "s", "ingest"]),
    ],
)
def test_shared_options_may_stand_behind_the_verb(given_arguments: list[str], hoisted: list[str]) -> None:
    assert hoist_shared_options(given_arguments) == hoisted


@given(st.lists(st.sampled_from(["--json", "--server", "s", "ingest", "--server=x", "--", "-", "--file"])))
def test_hoisting_loses_nothing_and_is_stable(arguments: list[str]) -> None:
    once = hoist_shared_options(arguments)
    assert sorted(once) == sorted(arguments)
    assert hoist_shared_options(once) == once


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "intelgraph", *arguments], capture_output=True, text=True, check=False
    )


def test_help_lists_every_verb() -> None:
    done = run("--help")
    assert done.returncode == 0
    for verb in VERBS:
        assert f" {verb} " in done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_verb_explains_itself(verb: str) -> None:
    assert importlib.import_module(VERBS[verb]).app is not None
    done = run(verb, "--help")
    assert done.returncode == 0
    assert "Usage:" in done.stdout


def test_help_is_quick_because_it_imports_no_grpc() -> None:
    program = (
        "import sys\n"
        "from intelgraph.cli.app import main\n"
        "try:\n    main(['token', '--help'])\n"
        "except SystemExit:\n    pass\n"
        "assert not {'grpc', 'asyncpg', 'cryptography', 'starlette'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_version() -> None:
    assert run("--version").stdout.strip() == __version__


def test_unknown_verb_is_bad_usage() -> None:
    done = run("ingset")
    assert done.returncode == 2
    assert "ingset" in done.stderr


@pytest.mark.parametrize(
    "arguments", [["ingset"], ["entity", "get", "weather"], ["entity", "get", "d", "k", "--valid", "soon"]]
)
def test_bad_usage_as_json(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--json"])
    assert ended.value.code == 2
    told = json.loads(capsys.readouterr().err)["error"]
    assert told["reason"] == "BAD_USAGE"
    assert told["message"]


def test_exit_codes_of_findings_and_help_are_the_same_under_json(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], ["--help", "--json"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert not ended.value.code
        assert "Usage:" in capsys.readouterr().out


def test_every_class_of_error_has_an_exit_code() -> None:
    def code(kind: type[IntelGraphError]) -> int:
        return exit_code_of(kind("REASON", "message"))

    assert {code(kind) for kind in (errors.InvalidArgument, errors.NotFound, errors.Unauthenticated)} == {2}
    assert {code(kind) for kind in (errors.Unavailable, errors.Internal, errors.DataLoss)} == {3}


def test_refusal_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(_arguments: list[str], *, standalone_mode: bool) -> None:
        raise errors.NotFound(
            "THING_NOT_FOUND",
            "no such thing",
            fix="name another",
            metadata={"thing": "t"},
            violations=(errors.FieldViolation("/thing", "KNOWN: is [not] known"),),
        )

    monkeypatch.setattr("intelgraph.cli.app.app", refuse)
    for arguments in (["--json"], []):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
        text = capsys.readouterr().err
        if arguments:
            assert json.loads(text) == {
                "error": {
                    "reason": "THING_NOT_FOUND",
                    "message": "no such thing",
                    "fix": "name another",
                    "metadata": {"thing": "t"},
                    "violations": [{"pointer": "/thing", "description": "KNOWN: is [not] known"}],
                }
            }
        else:
            assert "THING_NOT_FOUND no such thing" in text
            assert "at /thing: KNOWN: is [not] known" in text
            assert "fix name another" in text
