-- Rules that tenants add to the platform's policy
-- depends: 0005_operations

-- migrate: apply

-- Every version that a tenant put, the one in force included. `modules` is JSON, [{"name": …, "text": …}], none of them
-- where the rules were removed; `revision` is its SHA-256. Kept for good: a decision names what decided.
CREATE TABLE tenant_policy (
  tenant_id uuid NOT NULL REFERENCES tenant,
  version int NOT NULL CHECK (version > 0),
  modules bytea NOT NULL,
  revision bytea NOT NULL CHECK (octet_length(revision) = 32),
  state text NOT NULL CHECK (state IN ('active', 'replaced')),
  created_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, version)
);
-- One version is in force; every gateway asks for all of these once a second.
CREATE UNIQUE INDEX tenant_policy_in_force ON tenant_policy (tenant_id) INCLUDE (version) WHERE state = 'active';

CREATE FUNCTION announce_policy() RETURNS trigger LANGUAGE plpgsql AS $announce$
BEGIN
  PERFORM pg_notify('intelgraph_policy', '');
  RETURN NULL;
END
$announce$;

CREATE TRIGGER announce_policy AFTER INSERT ON tenant_policy FOR EACH ROW EXECUTE FUNCTION announce_policy();

ALTER TABLE tenant_policy ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_policy FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON tenant_policy USING
  (tenant_id = (SELECT NULLIF(current_setting('intelgraph.tenant', true), '')::uuid));

GRANT SELECT ON tenant_policy TO intelgraph_reader;
GRANT SELECT, INSERT, UPDATE (state) ON tenant_policy TO intelgraph_writer;

-- migrate: rollback
