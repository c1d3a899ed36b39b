-- Approvals: who asks for the consent to what, who gave it, and the keys that approvers sign with
-- depends: 0003_ledger

-- migrate: apply

-- An approval about the platform as a whole stands under the platform tenant, with `platform` set: row-level
-- security then shows it to nobody else. What was asked for never changes: the roles that serve may only move
-- the state. Every transition locks the row first, so the database decides which of two comes first.
CREATE TABLE approval (
  tenant_id uuid NOT NULL REFERENCES tenant,
  approval_id uuid NOT NULL,
  platform boolean NOT NULL,
  -- of the ledger when it was asked for: which gateway approvers sign for
  origin text NOT NULL,
  kind text NOT NULL,
  -- in the form of RFC 8785, byte for byte what was approved
  document bytea NOT NULL,
  digest bytea NOT NULL CHECK (digest = sha256(document)),
  reason text NOT NULL,
  ticket text NOT NULL,
  role text NOT NULL,
  quorum int NOT NULL CHECK (quorum BETWEEN 1 AND 16),
  requested_by text NOT NULL,
  requested_method text NOT NULL,
  requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL,
  state text NOT NULL DEFAULT 'requested'
    CHECK (state IN ('requested', 'approved', 'denied', 'withdrawn', 'expired', 'used')),
  settled_by text,
  settled_at timestamptz,
  superseded_by uuid,
  -- the ledger was forked when it was asked for, and is told of it when it is used
  owed boolean NOT NULL DEFAULT false,
  PRIMARY KEY (tenant_id, approval_id),
  CHECK (expires_at > requested_at),
  CHECK ((state IN ('requested', 'approved')) = (settled_at IS NULL))
);
-- Lists the newest first.
CREATE INDEX approval_newest ON approval (tenant_id, requested_at, approval_id);
-- What is open: few rows, whatever the number of approvals there ever were.
CREATE INDEX approval_open ON approval (tenant_id, expires_at) WHERE state IN ('requested', 'approved');

-- What each person said. One person approves once and denies once, whatever tokens it holds: the key says so.
-- `statement` are the bytes that were signed, or would have been where the approver has no key.
CREATE TABLE approval_decision (
  tenant_id uuid NOT NULL,
  approval_id uuid NOT NULL,
  approver text NOT NULL,
  method text NOT NULL,
  decision text NOT NULL CHECK (decision IN ('approve', 'deny')),
  decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  machine boolean NOT NULL,
  reason text NOT NULL,
  statement bytea NOT NULL,
  key_id bytea,
  signature bytea,
  PRIMARY KEY (tenant_id, approval_id, approver, decision),
  FOREIGN KEY (tenant_id, approval_id) REFERENCES approval,
  CHECK ((key_id IS NULL) = (signature IS NULL))
);

-- The public keys that approvers sign with. A key is one person's for good, also after it was revoked, and so is
-- the duty to sign of whoever registered one.
CREATE TABLE approver_key (
  tenant_id uuid NOT NULL REFERENCES tenant,
  -- SHA-256 of public_key
  key_id bytea NOT NULL,
  approver text NOT NULL,
  algorithm text NOT NULL CHECK (algorithm IN ('Ed25519', 'ES256')),
  -- SubjectPublicKeyInfo in DER
  public_key bytea NOT NULL CHECK (key_id = sha256(public_key)),
  statement bytea NOT NULL,
  proof bytea NOT NULL,
  registered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  revoked_at timestamptz,
  revoked_by text,
  revoke_reason text,
  PRIMARY KEY (tenant_id, key_id),
  CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);
CREATE INDEX approver_key_of_person ON approver_key (tenant_id, approver, registered_at);

DO $isolate$
DECLARE
  tenants_table regclass;
BEGIN
  FOREACH tenants_table IN ARRAY ARRAY['approval', 'approval_decision', 'approver_key']::regclass[] LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tenants_table);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', tenants_table);
    EXECUTE format(
      'CREATE POLICY tenant_isolation ON %s USING'
      ' (tenant_id = (SELECT NULLIF(current_setting(''intelgraph.tenant'', true), '''')::uuid))',
      tenants_table);
  END LOOP;
END
$isolate$;

GRANT SELECT ON approval, approval_decision, approver_key TO intelgraph_reader;

-- The writer adds, and moves a state; what was asked for, said or signed it cannot change.
GRANT SELECT, INSERT ON approval, approval_decision, approver_key TO intelgraph_writer;
GRANT UPDATE (state, settled_by, settled_at, superseded_by) ON approval TO intelgraph_writer;
GRANT UPDATE (revoked_at, revoked_by, revoke_reason) ON approver_key TO intelgraph_writer;

-- migrate: rollback
