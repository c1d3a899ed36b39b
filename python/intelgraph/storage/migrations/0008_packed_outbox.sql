-- The ledger's outbox holds the entries of one act in one row
-- depends: 0007_flags

-- migrate: apply

-- Entries are packed as crates/pipeline/src/ledger_outbox.rs says: each is written once by whoever seals it, and copied
-- into the log as it is. A row of its own for each was written, indexed, read and removed one by one (decision 0017).
ALTER TABLE ledger_outbox
  ADD COLUMN entries integer CHECK (entries > 0),
  ADD COLUMN packed bytea;
ALTER TABLE ledger_outbox ALTER COLUMN packed SET STORAGE EXTERNAL;
-- The owner sees all of them for once.
ALTER TABLE ledger_outbox NO FORCE ROW LEVEL SECURITY;
UPDATE ledger_outbox SET entries = 1, packed = int2send(7::smallint)
  || int4send(16) || uuid_send(entry_id)
  || coalesce(int4send(16) || uuid_send(tenant_id), int4send(-1))
  || int4send(2) || int2send(kind)
  || int4send(8) || int8send(subject_tag)
  || int4send(64) || commitments
  || int4send(octet_length(header)) || header
  || int4send(octet_length(payload)) || payload;
ALTER TABLE ledger_outbox FORCE ROW LEVEL SECURITY;
DROP POLICY tenant_isolation ON ledger_outbox;
ALTER TABLE ledger_outbox
  ALTER COLUMN entries SET NOT NULL,
  ALTER COLUMN packed SET NOT NULL,
  DROP COLUMN entry_id,
  DROP COLUMN tenant_id,
  DROP COLUMN kind,
  DROP COLUMN subject_tag,
  DROP COLUMN commitments,
  DROP COLUMN header,
  DROP COLUMN payload;

-- Entries of several tenants may be packed together: readers see how many wait, and only the platform's do.
CREATE POLICY platform_only ON ledger_outbox USING
  ((SELECT current_setting('intelgraph.tenant', true)) = '706c6174-666f-8d72-8000-000000000000');
GRANT SELECT (id, entries) ON ledger_outbox TO intelgraph_reader;

-- migrate: rollback
