-- The spine: tenants and their clocks, datasets and contracts, streams, the change log, quarantine, keys
-- depends:

-- migrate: apply

-- Every key of a tenant's table begins with the tenant, and no foreign key crosses tenants, so that Citus can
-- distribute by tenant_id as it stands. Nothing here is ever deleted or updated by the roles that serve unless a
-- grant at the end says so.

-- The registry of tenants. A row is never removed, so a name is never given twice.
CREATE TABLE tenant (
  tenant_id uuid PRIMARY KEY,
  name text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  state text NOT NULL CHECK (state IN ('active', 'suspended', 'offboarded')),
  limits jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Every gateway caches the registry; the trigger tells them all, whoever changed it.
CREATE FUNCTION announce_tenant() RETURNS trigger LANGUAGE plpgsql AS $announce$
BEGIN
  PERFORM pg_notify('intelgraph_tenant', NEW.name);
  RETURN NULL;
END
$announce$;

CREATE TRIGGER announce_tenant AFTER INSERT OR UPDATE ON tenant FOR EACH ROW EXECUTE FUNCTION announce_tenant();

-- One row per tenant, locked by whoever commits for it. It hands out seq without gaps and recorded times that
-- only grow, and it is the watermark of what is committed. It is rewritten by every commit: mostly empty pages
-- let each new version stay beside the old one (HOT), and the frontier inline.
CREATE TABLE tenant_clock (
  tenant_id uuid PRIMARY KEY REFERENCES tenant,
  seq bigint NOT NULL DEFAULT 0 CHECK (seq >= 0),
  recorded timestamptz NOT NULL DEFAULT 'epoch',
  frontier bytea NOT NULL DEFAULT ''
) WITH (fillfactor = 20);
ALTER TABLE tenant_clock ALTER COLUMN frontier SET STORAGE MAIN;

CREATE TABLE dataset (
  tenant_id uuid NOT NULL REFERENCES tenant,
  dataset_id int NOT NULL,
  name text NOT NULL,
  PRIMARY KEY (tenant_id, dataset_id),
  UNIQUE (tenant_id, name)
);

-- A published version never changes: no role that serves may update this table. `precedence` sorts bytewise as
-- semantic versions do.
CREATE TABLE contract (
  tenant_id uuid NOT NULL,
  contract_id int NOT NULL,
  dataset_id int NOT NULL,
  version text NOT NULL,
  precedence bytea NOT NULL,
  digest bytea NOT NULL CHECK (octet_length(digest) = 32),
  document bytea NOT NULL,
  published_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, contract_id),
  UNIQUE (tenant_id, dataset_id, version),
  UNIQUE (tenant_id, dataset_id, precedence),
  FOREIGN KEY (tenant_id, dataset_id) REFERENCES dataset
);

-- Where a connector's stream stands. epoch fences: the newest connection of a stream has the highest, and a
-- commit that names an older one updates nothing.
CREATE TABLE ingest_stream (
  tenant_id uuid NOT NULL,
  stream_no int NOT NULL,
  stream_id text NOT NULL,
  dataset_id int NOT NULL,
  producer text NOT NULL,
  source_region text NOT NULL,
  epoch bigint NOT NULL DEFAULT 1,
  sequence bigint NOT NULL DEFAULT 0,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, stream_no),
  UNIQUE (tenant_id, stream_id),
  FOREIGN KEY (tenant_id, dataset_id) REFERENCES dataset
) WITH (fillfactor = 40);

-- The log: one row per change, the only row that is written per record. No foreign keys: the gateway that
-- writes it holds what they would look up, and they would cost more than the row. Columns are ordered so that
-- none needs padding. `leaf` is the row's leaf in the tenant's tree, at index seq - 1.
CREATE TABLE entity_change_log (
  tenant_id uuid NOT NULL,
  seq bigint NOT NULL,
  recorded timestamptz NOT NULL,
  valid_at timestamptz NOT NULL,
  entity_id uuid NOT NULL,
  dataset_id int NOT NULL,
  contract_id int NOT NULL,
  stream_no int NOT NULL,
  version int NOT NULL,
  batch_sequence bigint NOT NULL,
  -- 1 insert, 2 update, 3 delete; outside the chain: 4 late upsert, 5 late delete
  op smallint NOT NULL CHECK (op BETWEEN 1 AND 5),
  -- chain rows since the last base: an insert, or a row with a snapshot, is one itself and has 0
  since_base smallint NOT NULL CHECK (since_base >= 0),
  leaf bytea NOT NULL CHECK (octet_length(leaf) = 32),
  sealed bytea NOT NULL,
  snapshot bytea,
  -- recorded is in the key so that the table can be partitioned by time; the clock row makes (tenant_id, seq)
  -- unique by itself.
  PRIMARY KEY (tenant_id, seq, recorded)
);
-- Ciphertext does not compress: do not try.
ALTER TABLE entity_change_log ALTER COLUMN sealed SET STORAGE EXTERNAL;
ALTER TABLE entity_change_log ALTER COLUMN snapshot SET STORAGE EXTERNAL;

-- Finds an entity's versions in the order that decides which one holds: (valid_at, seq).
CREATE INDEX entity_version ON entity_change_log (tenant_id, entity_id, dataset_id, valid_at, seq);

-- What broke its contract in one batch. The report is sealed like the records.
CREATE TABLE quarantine (
  tenant_id uuid NOT NULL,
  quarantine_id uuid NOT NULL,
  dataset_id int NOT NULL,
  contract_id int NOT NULL,
  stream_no int NOT NULL,
  records int NOT NULL CHECK (records >= 0),
  batch_sequence bigint NOT NULL,
  recorded timestamptz NOT NULL,
  state text NOT NULL CHECK (state = 'quarantined'),
  report bytea NOT NULL,
  PRIMARY KEY (tenant_id, quarantine_id)
);
ALTER TABLE quarantine ALTER COLUMN report SET STORAGE EXTERNAL;
-- Lists the newest first, and counts what waits.
CREATE INDEX quarantine_newest ON quarantine (tenant_id, recorded, quarantine_id) INCLUDE (dataset_id, records);

-- The fingerprint is keyed with the tenant's index key: a record that waits already is not stored again.
CREATE TABLE quarantine_record (
  tenant_id uuid NOT NULL,
  fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
  quarantine_id uuid NOT NULL,
  record_index int NOT NULL CHECK (record_index >= 0),
  sealed bytea NOT NULL,
  PRIMARY KEY (tenant_id, fingerprint)
);
ALTER TABLE quarantine_record ALTER COLUMN sealed SET STORAGE EXTERNAL;
CREATE INDEX quarantine_record_of_entry ON quarantine_record (tenant_id, quarantine_id, record_index);

-- Keys of the second level, each wrapped by the tenant's key-encryption key (KEK) in its KMS. The newest is what a
-- gateway has the KMS unwrap, again and again, to learn whether it may still hold anything of the tenant.
CREATE TABLE tenant_key (
  tenant_id uuid NOT NULL REFERENCES tenant,
  key_id uuid NOT NULL,
  provider text NOT NULL,
  kek_id text NOT NULL,
  kek_version text NOT NULL,
  wrapped bytea NOT NULL,
  state text NOT NULL CHECK (state = 'active'),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, key_id)
);

-- Keys of the third level, each wrapped by a tenant key; dek_id is the key's commitment.
CREATE TABLE data_key (
  tenant_id uuid NOT NULL,
  dek_id bytea NOT NULL CHECK (octet_length(dek_id) = 32),
  suite smallint NOT NULL,
  tenant_key_id uuid NOT NULL,
  wrapped bytea NOT NULL,
  state text NOT NULL CHECK (state = 'active'),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, dek_id),
  FOREIGN KEY (tenant_id, tenant_key_id) REFERENCES tenant_key
);

-- The key that names a tenant's entities, wrapped by a tenant key; index_key_id is its commitment. One for good:
-- two gateways that meet a new tenant at once must not give its entities two identities.
CREATE TABLE index_key (
  tenant_id uuid PRIMARY KEY,
  index_key_id bytea NOT NULL CHECK (octet_length(index_key_id) = 32),
  tenant_key_id uuid NOT NULL,
  wrapped bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  FOREIGN KEY (tenant_id, tenant_key_id) REFERENCES tenant_key
);

-- Row-level security, forced, so that it binds the owner too. The setting is read once per statement, and a
-- transaction that names no tenant sees nothing.
DO $isolate$
DECLARE
  tenants_table regclass;
BEGIN
  FOR tenants_table IN
    SELECT attrelid FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE attname = 'tenant_id' AND relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
  LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tenants_table);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', tenants_table);
    EXECUTE format(
      'CREATE POLICY tenant_isolation ON %s USING'
      ' (tenant_id = (SELECT NULLIF(current_setting(''intelgraph.tenant'', true), '''')::uuid))',
      tenants_table);
  END LOOP;
END
$isolate$;

-- The reader reads. Row-level security decides what.
GRANT SELECT ON
  tenant, tenant_clock, dataset, contract, ingest_stream, entity_change_log, quarantine, quarantine_record,
  tenant_key, data_key, index_key
TO intelgraph_reader;

-- The writer appends, and moves clocks and positions. What it has appended it can neither change nor, where it is
-- sealed, read.
GRANT INSERT ON entity_change_log, quarantine, quarantine_record TO intelgraph_writer;
GRANT SELECT (
  tenant_id, seq, recorded, valid_at, entity_id, dataset_id, contract_id, stream_no, version, batch_sequence, op,
  since_base, leaf
) ON entity_change_log TO intelgraph_writer;
GRANT SELECT (
  tenant_id, quarantine_id, dataset_id, contract_id, stream_no, records, batch_sequence, recorded, state
) ON quarantine TO intelgraph_writer;
GRANT SELECT (tenant_id, fingerprint, quarantine_id, record_index) ON quarantine_record TO intelgraph_writer;
GRANT SELECT, INSERT, UPDATE ON tenant, tenant_clock, ingest_stream, tenant_key, data_key, index_key
TO intelgraph_writer;
GRANT SELECT, INSERT ON dataset, contract TO intelgraph_writer;

-- migrate: rollback
