-- How many records of a tenant wait in quarantine, beside its clock
-- depends: 0001_spine

-- migrate: apply

-- A commit locks the clock row anyway: there it finds the number without counting, and moves it in the transaction
-- that adds the records. Whatever takes records out of quarantine has to lower it likewise.
ALTER TABLE tenant_clock ADD COLUMN quarantined bigint NOT NULL DEFAULT 0 CHECK (quarantined >= 0);

-- The owner is bound by row-level security too, and would count nothing.
ALTER TABLE tenant_clock NO FORCE ROW LEVEL SECURITY;
ALTER TABLE quarantine NO FORCE ROW LEVEL SECURITY;
UPDATE tenant_clock AS clock SET quarantined = waiting.records
FROM (SELECT tenant_id, sum(records)::bigint AS records FROM quarantine GROUP BY tenant_id) AS waiting
WHERE clock.tenant_id = waiting.tenant_id;
ALTER TABLE tenant_clock FORCE ROW LEVEL SECURITY;
ALTER TABLE quarantine FORCE ROW LEVEL SECURITY;

-- migrate: rollback
