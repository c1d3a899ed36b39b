"""Reports on violating records, from the core's JSON (`ig.report.v1`) to the wire."""

import json
from collections.abc import Mapping
from typing import Any

from intelgraph.gateway.v1 import contract_pb2


def violation_report(report: bytes) -> contract_pb2.ViolationReport:
    """The report as a message: the groups, most frequent first."""
    parsed = json.loads(report)
    rows = sorted(parsed["rows"], key=lambda row: -row["count"])
    return contract_pb2.ViolationReport(
        contract_digest=bytes.fromhex(parsed["contract"]["digest"].removeprefix("sha256:")),
        violations=[_violation(row) for row in rows],
        omitted_violations=parsed.get("omittedViolations", 0),
    )


def _violation(row: Mapping[str, Any]) -> contract_pb2.Violation:
    return contract_pb2.Violation(
        rule=row["rule"],
        instance_pointer=row["instance"],
        schema_pointer=row["schema"],
        count=row["count"],
        record_indexes=row["records"],
        found="; ".join(_found(found) for found in row["found"]),
        fix=row["fix"],
    )


def _found(found: Mapping[str, Any]) -> str:
    """For example `string, digits, length 3 to 12 (41 times)`: what was there, and nothing of it."""
    said = [found["type"]]
    if found["class"] != "-":
        said.append(found["class"])
    shortest, longest = found["minLength"], found["maxLength"]
    if longest > 0:
        said.append(f"length {shortest}" if shortest == longest else f"length {shortest} to {longest}")
    times = f" ({found['count']} times)" if found["count"] > 1 else ""
    return ", ".join(said) + times
