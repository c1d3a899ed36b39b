"""Contract documents to publish."""

import json
from typing import Any


def document(dataset: str = "flights", version: str = "1.0.0", tenant: str = "acme", **members: Any) -> bytes:
    """A contract of records with an `id` and an integer `delay`; not in canonical form."""
    return json.dumps(
        {
            "version": version,
            "datasetId": dataset,
            "tenantId": tenant,
            "license": "Open-Data-OK",
            "purpose": ["test"],
            "retention": "standard-365d",
            "sla": {},
            "schema": {
                "type": "object",
                "properties": {"id": {"type": "string"}, "delay": {"type": "integer"}},
                "required": ["id"],
            },
            "mapping": {"entity": {"type": "flight", "key": ["/id"]}},
            "placement": {"homeRegion": "eu-1", "allowedRegions": ["eu-1"], "classification": "internal"},
            **members,
        },
        indent=1,
    ).encode()
