-- The ledger: an outbox that business transactions write to, the sequenced entries, checkpoints
-- depends: 0002_quarantine_count

-- migrate: apply

-- The platform has keys of its own, under an id that is no tenant's: a key's owner is a tenant or the platform.
ALTER TABLE tenant_key DROP CONSTRAINT tenant_key_tenant_id_fkey;

-- What was committed and is not sequenced yet. `commitments` are to the header and to the payload, 32 bytes each;
-- both parts are sealed under the platform's key. `subject_tag` finds a subject's entries without naming it. Without a
-- tenant an entry is the platform's own.
CREATE TABLE ledger_outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  entry_id uuid NOT NULL,
  tenant_id uuid,
  kind smallint NOT NULL,
  subject_tag bigint NOT NULL,
  commitments bytea NOT NULL CHECK (octet_length(commitments) = 64),
  header bytea NOT NULL,
  payload bytea NOT NULL
);
ALTER TABLE ledger_outbox ALTER COLUMN header SET STORAGE EXTERNAL;
ALTER TABLE ledger_outbox ALTER COLUMN payload SET STORAGE EXTERNAL;

-- The log, one row for each leaf, without gaps from 0 on. What is sealed may be erased, the commitments never: every
-- proof goes on to hold. `erased_by` is the entry that says who erased it, and why. An entry that was recovered from
-- the log's tiles has commitments and nothing else.
CREATE TABLE ledger_entry (
  index bigint PRIMARY KEY CHECK (index >= 0),
  entry_id uuid,
  tenant_id uuid,
  kind smallint,
  subject_tag bigint,
  sequenced timestamptz NOT NULL,
  commitments bytea NOT NULL CHECK (octet_length(commitments) = 64),
  header bytea,
  payload bytea,
  erased_by uuid
);
ALTER TABLE ledger_entry ALTER COLUMN header SET STORAGE EXTERNAL;
ALTER TABLE ledger_entry ALTER COLUMN payload SET STORAGE EXTERNAL;
-- Lists a tenant's entries of some kinds, or of all, kind by kind.
CREATE INDEX ledger_entry_of_tenant ON ledger_entry (tenant_id, kind, index);
CREATE INDEX ledger_entry_of_subject ON ledger_entry (subject_tag, index) WHERE subject_tag IS NOT NULL;
-- The same for the platform, which sees all tenants'.
CREATE INDEX ledger_entry_of_kind ON ledger_entry (kind, index);

CREATE FUNCTION refuse_but_erasing() RETURNS trigger LANGUAGE plpgsql AS $refuse$
BEGIN
  IF NEW.header IS NOT NULL OR NEW.payload IS NOT NULL OR NEW.subject_tag IS NOT NULL OR NEW.erased_by IS NULL
     OR OLD.erased_by IS NOT NULL THEN
    RAISE EXCEPTION 'a ledger entry can be erased, and not changed' USING ERRCODE = 'IG002';
  END IF;
  RETURN NEW;
END
$refuse$;
CREATE TRIGGER ledger_entry_is_final BEFORE UPDATE ON ledger_entry
FOR EACH ROW EXECUTE FUNCTION refuse_but_erasing();

-- The end of the log; one row. `root` is that of the tree over its leaves (RFC 6962 §2.1). `fork_index` is set while the log
-- here is not the one that was signed: the first entry that differs, or that is missing here.
CREATE TABLE ledger_log (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  origin text NOT NULL,
  size bigint NOT NULL DEFAULT 0 CHECK (size >= 0),
  root bytea NOT NULL DEFAULT sha256('') CHECK (octet_length(root) = 32),
  sequenced timestamptz NOT NULL DEFAULT 'epoch',
  fork_index bigint CHECK (fork_index >= 0)
);
INSERT INTO ledger_log (origin)
VALUES ('intelgraph-gateway/' || replace(gen_random_uuid()::text, '-', ''));

-- Nothing is appended to a log that would fork: whatever needs an entry is refused, and reads go on. What is done about
-- the fork itself may be entered, and waits in the outbox like everything else until the log goes on.
CREATE FUNCTION refuse_to_fork() RETURNS trigger LANGUAGE plpgsql AS $refuse$
BEGIN
  IF (SELECT fork_index FROM ledger_log) IS NOT NULL
     AND current_setting('intelgraph.about_fork', true) IS DISTINCT FROM 'on' THEN
    RAISE EXCEPTION 'the ledger is forked' USING ERRCODE = 'IG001';
  END IF;
  RETURN NULL;
END
$refuse$;
CREATE TRIGGER ledger_is_not_forked BEFORE INSERT ON ledger_outbox
FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_fork();

-- Signed checkpoints: one for a size, for good.
CREATE TABLE ledger_checkpoint (
  origin text NOT NULL,
  size bigint NOT NULL,
  root bytea NOT NULL CHECK (octet_length(root) = 32),
  note bytea NOT NULL,
  signed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (origin, size)
);

-- Tells between which entries a time lies.
CREATE INDEX ledger_checkpoint_time ON ledger_checkpoint (origin, signed_at);

-- What witnesses signed, a signature line of C2SP tlog-cosignature each.
CREATE TABLE ledger_cosignature (
  origin text NOT NULL,
  size bigint NOT NULL,
  witness text NOT NULL,
  line text NOT NULL,
  received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (origin, size, witness),
  FOREIGN KEY (origin, size) REFERENCES ledger_checkpoint
);

-- How far each tenant's change log is anchored in the ledger.
CREATE TABLE log_anchor (
  tenant_id uuid PRIMARY KEY REFERENCES tenant,
  seq bigint NOT NULL,
  anchored_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Tokens of the local issuer that are entries of the ledger already.
CREATE TABLE minted_token (
  token_id uuid PRIMARY KEY,
  expires_at timestamptz NOT NULL
);

-- A migration is applied before there are keys to seal its entry with: the gateway that starts makes up for it.
ALTER TABLE migration_checksum ADD COLUMN ledgered boolean NOT NULL DEFAULT false;


-- The same holds for the platform's own keys, which seal every entry and cannot seal that of their own making.
ALTER TABLE tenant_key ADD COLUMN ledgered boolean NOT NULL DEFAULT true;
ALTER TABLE data_key ADD COLUMN ledgered boolean NOT NULL DEFAULT true;

-- A tenant sees its own entries; the platform, whose id the setting names then, those of all.
DO $isolate$
DECLARE
  entries regclass;
BEGIN
  FOREACH entries IN ARRAY ARRAY['ledger_outbox', 'ledger_entry']::regclass[] LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', entries);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', entries);
    EXECUTE format(
      'CREATE POLICY tenant_isolation ON %s USING'
      ' (tenant_id = (SELECT NULLIF(current_setting(''intelgraph.tenant'', true), '''')::uuid)'
      ' OR (SELECT current_setting(''intelgraph.tenant'', true)) = ''706c6174-666f-8d72-8000-000000000000'')',
      entries);
  END LOOP;
END
$isolate$;
ALTER TABLE log_anchor ENABLE ROW LEVEL SECURITY;
ALTER TABLE log_anchor FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON log_anchor USING
  (tenant_id = (SELECT NULLIF(current_setting('intelgraph.tenant', true), '')::uuid));

GRANT SELECT (id, entry_id, tenant_id, kind) ON ledger_outbox TO intelgraph_reader;
GRANT SELECT ON ledger_entry, ledger_log, ledger_checkpoint, ledger_cosignature, log_anchor TO intelgraph_reader;

-- The writer takes rows out of the outbox as they are, sealed. Of the log it can read and change nothing that is.
GRANT SELECT, INSERT, DELETE ON ledger_outbox TO intelgraph_writer;
GRANT SELECT (index, entry_id, tenant_id, kind, sequenced, commitments, erased_by) ON ledger_entry
TO intelgraph_writer;
GRANT INSERT ON ledger_entry TO intelgraph_writer;
GRANT UPDATE (subject_tag, header, payload, erased_by) ON ledger_entry TO intelgraph_writer;
GRANT SELECT, UPDATE ON ledger_log TO intelgraph_writer;
GRANT SELECT, INSERT ON ledger_checkpoint, ledger_cosignature TO intelgraph_writer;
GRANT SELECT, INSERT, UPDATE ON log_anchor TO intelgraph_writer;
GRANT SELECT, INSERT, DELETE ON minted_token TO intelgraph_writer;
GRANT SELECT, UPDATE (ledgered) ON migration_checksum TO intelgraph_writer;

-- migrate: rollback
