-- Flags by which an operator backs out of a check, and what is stored though it breaks its contract
-- depends: 0006_policy

-- migrate: apply

-- The share of all tenants for which a flag has its weakened value, in percent. One row per flag, and none is ever
-- removed: whoever changes anything of a flag locks its row first.
CREATE TABLE flag_share (
  flag text PRIMARY KEY CHECK (flag IN ('cmk', 'contracts', 'temporal', 'upgrade')),
  share smallint NOT NULL DEFAULT 0 CHECK (share BETWEEN 0 AND 100),
  -- From then on the share is 0 again.
  until timestamptz,
  changed_at timestamptz,
  changed_by text,
  approval_id uuid
);
INSERT INTO flag_share (flag) VALUES ('cmk'), ('contracts'), ('temporal'), ('upgrade');

-- What one tenant has set for itself; it wins over the share.
CREATE TABLE flag_setting (
  tenant_id uuid NOT NULL REFERENCES tenant,
  flag text NOT NULL CHECK (flag IN ('cmk', 'contracts', 'temporal', 'upgrade')),
  weakened boolean NOT NULL,
  -- From then on it is as if the tenant had set nothing.
  until timestamptz,
  changed_at timestamptz NOT NULL,
  changed_by text NOT NULL,
  approval_id uuid,
  PRIMARY KEY (tenant_id, flag)
);
ALTER TABLE flag_setting ENABLE ROW LEVEL SECURITY;
ALTER TABLE flag_setting FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON flag_setting USING
  (tenant_id = (SELECT NULLIF(current_setting('intelgraph.tenant', true), '')::uuid));

-- Every gateway holds all flags in memory; the triggers tell them of a change, whoever made it.
CREATE FUNCTION announce_flag() RETURNS trigger LANGUAGE plpgsql AS $announce$
BEGIN
  PERFORM pg_notify('intelgraph_flag', '');
  RETURN NULL;
END
$announce$;
CREATE TRIGGER announce_flag AFTER UPDATE ON flag_share FOR EACH STATEMENT EXECUTE FUNCTION announce_flag();
CREATE TRIGGER announce_flag AFTER INSERT OR UPDATE OR DELETE ON flag_setting
FOR EACH STATEMENT EXECUTE FUNCTION announce_flag();

GRANT SELECT ON flag_share, flag_setting TO intelgraph_writer, intelgraph_reader;
GRANT UPDATE (share, until, changed_at, changed_by, approval_id) ON flag_share TO intelgraph_writer;
GRANT INSERT, DELETE ON flag_setting TO intelgraph_writer;

-- An entry may be about changes that broke the contract and were stored all the same, because it only warned: nothing
-- of it waits, and its records are the changes, named by their seq (8 bytes each, big-endian).
ALTER TABLE quarantine DROP CONSTRAINT quarantine_state_check,
  ADD CONSTRAINT quarantine_state_check CHECK (state IN ('quarantined', 'stored'));
ALTER TABLE quarantine ADD COLUMN changes bytea NOT NULL DEFAULT '' CHECK (octet_length(changes) % 8 = 0);
DROP INDEX quarantine_newest;
CREATE INDEX quarantine_newest ON quarantine (tenant_id, state, recorded, quarantine_id) INCLUDE (dataset_id, records);

-- migrate: rollback
