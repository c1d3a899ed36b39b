"""The records that every benchmark processes: shipments of 914 B to 1 KiB with 20 fields, of which 3 change
from one version of an entity to the next.

Everything follows from a seed, an entity's index and a version, so any record can be made again without the
others, and nothing needs to be made inside a timed region.
"""

import random
import uuid
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import orjson

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
Document = dict[str, JsonValue]

DATASET: Final = "shipments"
MIN_BYTES: Final = 914
MAX_BYTES: Final = 1024
FIELDS: Final = 20
CHANGED_FIELDS: Final = ("revision", "status", "parcels")

_STATUSES: Final = ("in_transit", "held")
_UUID_PATTERN: Final = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_CONSIGNEES: Final = (
    "Åkerlund & Bjørnstad Kjøleteknikk AS",
    "Établissements Lefèvre Frères et Fils",
    "Grünwald Präzisionswerkzeuge GmbH",
    "Compañía Peñarroya de Suministros",
)
_REMARKS: Final = (
    "deliver to the rear gate",
    "ring twice",
    "keep upright and dry",
    "no delivery after 16:00",
    "pallets go back with the driver",
    "weigh before unloading",
    "seal number is on the waybill",
    'marked "fragile" on two sides',
)


@dataclass(frozen=True, slots=True)
class Shipment:
    """One version of one entity."""

    seed: int
    index: int
    version: int = 0

    def next(self) -> "Shipment":
        """The version after this one."""
        return replace(self, version=self.version + 1)

    def document(self) -> Document:
        """The record as a document of `FIELDS` fields; those of `CHANGED_FIELDS` depend on the version."""
        document = _first_version(self.seed, self.index)
        parcels: list[JsonValue] = [
            _parcel("PAL", 1200 + self.index % 7, 12.5),
            _parcel("BOX", 3 + self.version, 1820.25),
            _parcel("ENV", 40, 19.9),
        ]
        return document | {
            "revision": 17 + self.version,
            "status": _STATUSES[self.version % len(_STATUSES)],
            "parcels": parcels,
        }

    def encode(self) -> bytes:
        """The record as it crosses the wire: compact UTF-8 JSON of `MIN_BYTES` to `MAX_BYTES` bytes."""
        return orjson.dumps(self.document())


def _first_version(seed: int, index: int) -> Document:
    draw = random.Random(f"{seed}/{index}")
    return {
        "shipment_id": str(uuid.UUID(int=draw.getrandbits(128), version=4)),
        "account_id": str(uuid.UUID(int=draw.getrandbits(128), version=4)),
        "carrier": draw.choice(("fjordline", "alpenspedition", "translevante")),
        "mode": draw.choice(("road", "rail", "sea", "air")),
        "status": "",
        "booked_at": f"2025-03-{draw.randint(10, 28)}T09:26:53.{draw.randint(100, 999)}Z",
        "updated_at": f"2025-06-{draw.randint(10, 28)}T18:31:41.{draw.randint(100, 999)}+02:00",
        "consignee": draw.choice(_CONSIGNEES),
        "contact": f"goods.in{draw.randrange(100, 1000)}@warehouse-north.example",
        "phone": f"+47 55{draw.randrange(10)} {draw.randint(1000, 9999)} {draw.randint(10, 99)}",
        "revision": 0,
        "declared_value": round(draw.uniform(10_000, 99_999), 2),
        "currency": draw.choice(("EUR", "NOK", "CHF")),
        "hazardous": draw.random() < 0.5,
        "risk": round(draw.uniform(0.1, 0.9), 4),
        "handler": f"desk{draw.randrange(100, 1000)}@forwarder.example",
        "instructions": _instructions(draw),
        "labels": draw.sample(("cold-chain", "q3", "priority:high", "nordics", "returns"), 4),
        "destination": {
            "street": f"Havnegata {draw.randint(10, 99)}",
            "city": draw.choice(("Bergen", "Narvik", "Tromsø")),
            "region": "NO",
            "postal_code": str(draw.randint(10_000, 99_999)),
            "country": "NO",
        },
        "parcels": [],
    }


def _instructions(draw: random.Random) -> str:
    """Free text of two lines, with a quotation mark that JSON must escape."""
    remarks = draw.sample(_REMARKS, 4)
    return f'Handle as "door to door": {", ".join(remarks[:2])}.\nOn arrival {remarks[2]}; {remarks[3]}.'


def _parcel(kind: str, count: int, unit_weight: float) -> Document:
    return {"kind": f"{kind}-1001", "count": count, "unit_weight": unit_weight}


@cache
def schema() -> Document:
    """JSON Schema 2020-12 that every version of every shipment satisfies. Not to be changed by the caller."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": False,
        "required": [
            "shipment_id",
            "account_id",
            "carrier",
            "mode",
            "status",
            "booked_at",
            "updated_at",
            "consignee",
            "contact",
            "revision",
            "destination",
            "parcels",
        ],
        "properties": {
            "shipment_id": {"type": "string", "pattern": _UUID_PATTERN},
            "account_id": {"type": "string", "pattern": _UUID_PATTERN},
            "carrier": {
                "type": "string",
                "enum": ["fjordline", "alpenspedition", "translevante", "andes-cargo"],
            },
            "mode": {"type": "string", "enum": ["road", "rail", "sea", "air"]},
            "status": {"type": "string", "enum": ["booked", "in_transit", "held", "delivered"]},
            "booked_at": {"type": "string", "format": "date-time"},
            "updated_at": {"type": "string", "format": "date-time"},
            "consignee": {"type": "string", "minLength": 1, "maxLength": 200},
            "contact": {"type": "string", "pattern": r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$"},
            "phone": {"type": ["string", "null"], "maxLength": 32},
            "revision": {"type": "integer", "minimum": 0},
            "declared_value": {"type": "number", "minimum": 0},
            "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
            "hazardous": {"type": "boolean"},
            "risk": {"type": "number", "minimum": 0, "maximum": 1},
            "handler": {"type": "string", "maxLength": 80},
            "instructions": {"type": "string", "maxLength": 2000},
            "labels": {"type": "array", "items": {"type": "string", "maxLength": 40}, "maxItems": 20},
            "destination": _destination_schema(),
            "parcels": {"type": "array", "items": _parcel_schema(), "maxItems": 100},
        },
    }


def contract_document(tenant: str) -> Document:
    """The contract of the records, for a tenant's name.

    It names no event time, so a version counts from when it is recorded, and a benchmark may send the same
    versions in turn for as long as it runs. Its arrays have no key and are compared by position.
    """
    return {
        "datasetId": DATASET,
        "version": "1.0.0",
        "tenantId": tenant,
        "license": "Open-Data-OK",
        "purpose": ["benchmark"],
        "retention": "short-30d",
        "sla": {},
        "schema": schema(),
        "mapping": {"entity": {"type": "shipment", "key": ["/shipment_id"]}},
        "placement": {"homeRegion": "local", "classification": "internal"},
    }


def _destination_schema() -> Document:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["street", "city", "country"],
        "properties": {
            "street": {"type": "string"},
            "city": {"type": "string"},
            "region": {"type": "string"},
            "postal_code": {"type": "string", "pattern": "^[0-9A-Z -]{3,10}$"},
            "country": {"type": "string", "pattern": "^[A-Z]{2}$"},
        },
    }


def _parcel_schema() -> Document:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["kind", "count", "unit_weight"],
        "properties": {
            "kind": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{4}$"},
            "count": {"type": "integer", "minimum": 1},
            "unit_weight": {"type": "number", "minimum": 0},
        },
    }
