"""Signatures of approvers against Project Wycheproof: what must hold holds, and everything else is refused."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from intelgraph.approvals.signing import PublicKey
from intelgraph.errors import InvalidArgument

VECTORS = Path(__file__).with_name("vectors") / "wycheproof"


@pytest.mark.parametrize(
    ("name", "valid", "invalid"), [("ecdsa_secp256r1_sha256_p1363", 173, 89), ("ed25519", 88, 63)]
)
def test_signatures(name: str, valid: int, invalid: int) -> None:
    vectors: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_bytes())
    tried: Counter[str] = Counter()
    for group in vectors["testGroups"]:
        key = PublicKey.read(bytes.fromhex(group["publicKeyDer"]))
        for test in group["tests"]:
            message, signature = bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])
            tried[test["result"]] += 1
            if test["result"] == "valid":
                key.verify(message, signature)
            else:
                with pytest.raises(InvalidArgument):
                    key.verify(message, signature)
    assert tried == {"valid": valid, "invalid": invalid}
    assert tried.total() == vectors["numberOfTests"]
