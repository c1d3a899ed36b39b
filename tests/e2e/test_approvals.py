"""Two people on one host, with nothing but the command line: one asks, the other sees what will happen and decides."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from intelgraph.cli.app import main
from tests.e2e.gateway import GatewayProcess

PLAN = '{"summary":"rotate the root key","steps":["take it from the safe","sign with it"]}'


class CommandLine:
    """`intelgraph` as one person runs it."""

    def __init__(self, gateway: GatewayProcess, capsys: pytest.CaptureFixture[str]) -> None:
        self.shared = ["--server", gateway.address, "--data-dir", str(gateway.data_dir)]
        self._capsys = capsys

    def __call__(self, who: str, *arguments: str, fails: int = 0) -> str:
        """What it prints; `fails` is the exit code."""
        with pytest.raises(SystemExit) as ended:
            main([*self.shared, "--as", who, "approvals", *arguments])
        printed = self._capsys.readouterr()
        assert int(ended.value.code or 0) == fails, printed
        return printed.err if fails == 2 else printed.out

    def json(self, who: str, *arguments: str) -> Any:
        """What it prints with --json."""
        return json.loads(self(who, *arguments, "--json"))

    def request(self, who: str = "alice", *more: str) -> str:
        """The id of a new request."""
        asked = self.json(
            who, "request", "manual.act", "--document", PLAN, "--reason", "it is old", "--role",
            "security-officer", *more,
        )  # fmt: skip
        return str(asked["approval_id"])


@pytest.fixture
def run(
    gateway: GatewayProcess, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> CommandLine:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("INTELGRAPH_SUBJECT", raising=False)
    return CommandLine(gateway, capsys)


def test_one_asks_and_another_decides(run: CommandLine) -> None:
    approval = run.request("alice", "--quorum", "2", "--expires", "4h", "--ticket", "SEC-7")
    shown = run("bob", "show", approval)
    for told in (
        "manual.act: act by hand, for the tenant local",
        "A person does by hand: rotate the root key",
        "Step 2: sign with it",
        '"summary": "rotate the root key"',
        "alice, 20",
        "it is old",
        "SEC-7",
        "2 of the role security-officer",
        "2 more of the role security-officer, other than alice",
        "expires   in ",
    ):
        assert told in shown
    assert "APPROVAL_OWN_REQUEST" in run("alice", "approve", approval, "--yes", fails=2)
    run("bob", "approve", approval, "--yes", "--reason", "I have checked it")
    assert "APPROVAL_ALREADY_GIVEN" in run("bob", "approve", approval, "--yes", fails=2)
    shown = run("carol", "show", approval)
    assert "bob, 20" in shown
    assert "not signed: I have checked it" in shown
    assert "1 more of the role security-officer, other than alice, bob" in shown
    assert run.json("carol", "approve", approval, "--yes")["state"] == "approved"
    assert "approved" in run("dan", "list", "--state", "approved")
    assert "denied by dan" in run("dan", "deny", approval, "--reason", "an incident")
    assert "APPROVAL_SETTLED" in run("alice", "withdraw", approval, fails=2)


def test_one_is_asked_before_one_approves(run: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    approval = run.request()
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda question, abort: pytest.fail(question) if not abort else None)
    shown = run("bob", "approve", approval)
    assert shown.index("Step 1: take it from the safe") < shown.index("approved  bob")


def test_where_nobody_can_be_asked_silence_is_no_consent(
    run: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval = run.request()
    monkeypatch.setattr("typer.confirm", lambda question, abort: pytest.fail(question))
    for terminal, more in ((True, ("--json",)), (False, ()), (False, ("--json",))):
        monkeypatch.setattr("sys.stdin.isatty", lambda terminal=terminal: terminal)
        refused = " ".join(run("bob", "approve", approval, *more, fails=2).split())
        assert "add --yes, or --digest" in refused.replace(" │ │ ", " ")
    assert run.json("bob", "show", approval)["state"] == "requested"


def test_one_approves_only_what_one_has_seen(run: CommandLine) -> None:
    approval = run.request()
    assert "another digest" in run("bob", "approve", approval, "--digest", "00" * 32, "--yes", fails=2)
    digest = run.json("bob", "show", approval)["digest"]
    assert run.json("bob", "approve", approval, "--digest", digest)["state"] == "approved"


def test_keys_signatures_and_their_check(
    run: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTELGRAPH_APPROVER_PASSPHRASE", "correct horse")
    first, second = tmp_path / "first.pem", tmp_path / "second.pem"
    (tmp_path / "first.pub").write_text(run("erin", "key", "generate", str(first)))
    run("erin", "key", "generate", str(second), "--algorithm", "ES256", "--no-passphrase")
    assert first.stat().st_mode & 0o777 == 0o600
    assert b"ENCRYPTED" in first.read_bytes()
    assert "not there yet" in run("erin", "key", "generate", str(first), fails=2)

    key_id = run.json("erin", "key", "register", str(first))["key_id"]
    assert "APPROVER_KEY_NOT_ENDORSED" in run("erin", "key", "register", str(second), fails=2)
    run("erin", "key", "register", str(second), "--sign-with", str(first))
    assert [key["algorithm"] for key in run.json("erin", "key", "list", "erin")].count("ES256") == 1

    approval = run.request()
    assert "APPROVAL_SIGNATURE_MISSING" in run("erin", "approve", approval, "--yes", fails=2)
    assert "signed with Ed25519" in run("erin", "approve", approval, "--yes", "--sign-with", str(first))
    trusted = ("--trusted-key", str(tmp_path / "first.pub"))
    assert "it proves what it says" in run("auditor", "verify", approval, *trusted)

    proof = tmp_path / "approval.json"
    proof.write_text(run("auditor", "show", approval, "--json"))
    assert run.json("auditor", "verify", str(proof), *trusted)["faults"] == []
    proof.write_text(proof.read_text().replace("rotate the root key", "keep the root key"))
    assert "fault: the digest is not" in run("auditor", "verify", str(proof), fails=1)
    assert "APPROVAL_PROOF_INVALID" in run("auditor", "verify", str(_empty(tmp_path)), fails=2)

    assert "APPROVER_KEY_NOT_ENDORSED" in run("erin", "key", "revoke", key_id, "--reason", "old", fails=2)
    run("erin", "key", "revoke", key_id, "--reason", "old", "--sign-with", str(second))
    assert "revoked by erin: old" in " ".join(run("erin", "key", "list", "erin").split())


def test_who_lost_every_key_gets_another_with_the_word_of_two(run: CommandLine, tmp_path: Path) -> None:
    first, second = tmp_path / "first.pem", tmp_path / "second.pem"
    for file in (first, second):
        run("judy", "key", "generate", str(file), "--no-passphrase")
    key_id = run.json("judy", "key", "register", str(first))["key_id"]
    run("bob", "key", "revoke", key_id, "--reason", "lost")
    refused = json.loads(run("judy", "key", "register", str(second), "--json", fails=2))["error"]
    assert refused["then"] == f"intelgraph approvals key register {second} --approval ID"
    words = shlex.split(refused["request"])
    assert words[:2] == ["intelgraph", "approvals"]
    approval = run.json("judy", *words[2:])["approval_id"]
    assert "make sure that it is judy who asks" in run("bob", "show", approval)
    for who in ("bob", "dan"):
        run(who, "approve", approval, "--yes")
    assert run.json("judy", "key", "register", str(second), "--approval", approval)["approver"] == "judy"


def _empty(directory: Path) -> Path:
    file = directory / "empty.json"
    file.write_text("{}")
    return file


def test_a_plan_comes_from_a_file_or_standard_input(
    run: CommandLine, tmp_path: Path, gateway: GatewayProcess
) -> None:
    file = tmp_path / "plan.json"
    file.write_text(PLAN)
    asked = run.json(
        "alice",
        "request",
        "manual.act",
        "--document",
        str(file),
        "--reason",
        "r",
        "--role",
        "security-officer",
    )
    command = [sys.executable, "-m", "intelgraph", *run.shared, "--as", "alice", "approvals", "request"]
    given = subprocess.run(
        [*command, "manual.act", "--document=-", "--reason=r", "--role=security-officer", "--json",
         f"--supersedes={asked['approval_id']}"],
        input=PLAN.replace("safe", "vault"), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "vault" in json.loads(given.stdout)["document"]
    superseded = run.json("alice", "show", asked["approval_id"])
    assert superseded["superseded_by"] == json.loads(given.stdout)["approval_id"]
    absent = run("alice", "request", "manual.act", "--document", "absent", "--reason", "r", fails=2)
    assert "absent: No such file" in absent


def test_what_is_refused_says_what_to_do(run: CommandLine) -> None:
    wrong = run("alice", "request", "manual.act", "--document", '{"summary":"s"}', "--reason", "r", fails=2)
    assert "APPROVAL_DOCUMENT_UNFIT" in wrong
    assert "at /steps: must be there, and be a list of lines of text, one or more" in wrong
    role = run(
        "alice", "request", "manual.act", "--document", PLAN, "--reason", "r", "--role", "analyst", fails=2
    )
    assert "must be one that can approve: security-officer" in role
    assert "no such state" in run("alice", "list", "--state", "waiting", fails=2)
    assert "s, m, h or d" in run(
        "alice", "request", "manual.act", "--document", PLAN, "--reason", "r", "--expires", "soon", fails=2
    )


def test_what_waits_is_watched_live(run: CommandLine) -> None:
    there = run.request("frank")
    told = run("grace", "watch", "--until-now", "--json").splitlines()
    assert there in [json.loads(line)["approval"]["approval_id"] for line in told]
    assert there not in run("frank", "watch", "--until-now")
    command = [
        sys.executable,
        "-m",
        "intelgraph",
        *run.shared,
        "--as",
        "grace",
        "approvals",
        "watch",
        "--json",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        seen = [json.loads(watching.stdout.readline())]
        while seen[-1]["approval"]["approval_id"] != there:
            seen.append(json.loads(watching.stdout.readline()))
        began = time.monotonic()
        new = run.request("frank")
        assert json.loads(watching.stdout.readline())["approval"]["approval_id"] == new
        run("frank", "withdraw", new)
        gone = json.loads(watching.stdout.readline())
        assert (gone["approval"]["state"], gone["awaits_you"]) == ("withdrawn", False)
        assert time.monotonic() - began < 20
        watching.terminate()


def test_a_token_says_who_acts(gateway: GatewayProcess, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, holder in (
        (["--as", "heidi"], "heidi"),
        (["--as", "heidi", "--subject", "ivan"], "ivan"),
    ):
        with pytest.raises(SystemExit):
            main(["token", "--role", "analyst", "--data-dir", str(gateway.data_dir), "--json", *arguments])
        assert json.loads(capsys.readouterr().out)["subject"] == holder
