"""The peer to beat on ingest: the whole hot path in plain Python with the fastest library for each step, as a
competent team would write it in a week.

Per record: protobuf over grpc.aio, orjson, jsonschema-rs, a dictionary of heads, a plain field diff,
AES-256-GCM by `cryptography` under one data key per tenant, binary COPY through asyncpg. One commit per
batch, then the acknowledgement. It leaves out much that the gateway does (identity, resuming after a
restart, gapless order, quarantine, key commitment); all of that would only make it slower.
"""
