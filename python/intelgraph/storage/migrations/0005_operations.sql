-- Operations, and retention: what is longer than a request, and what goes after its time
-- depends: 0004_approvals

-- migrate: apply

-- An operation, from its request to its end. `memory` is what its last committed step left for the next one; `input` and
-- `memory` are JSON. Who holds it may go on until `lease_until`, by the clock of this database, and only under `epoch`:
-- every step of every holder names the epoch that it was given, and one that names an older one changes nothing.
CREATE TABLE operation (
  tenant_id uuid NOT NULL REFERENCES tenant,
  operation_id uuid NOT NULL,
  kind text NOT NULL,
  exclusive boolean NOT NULL,
  state text NOT NULL CHECK (state IN ('waiting', 'running', 'cancelling', 'done', 'failed', 'cancelled')),
  input text NOT NULL,
  memory text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  created_by text NOT NULL,
  created_method text NOT NULL,
  deadline timestamptz,
  not_before timestamptz NOT NULL DEFAULT '-infinity',
  started_at timestamptz,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at timestamptz,
  slot smallint,
  epoch bigint NOT NULL DEFAULT 0,
  holder text NOT NULL DEFAULT '',
  lease_seconds double precision NOT NULL DEFAULT 0,
  lease_until timestamptz NOT NULL DEFAULT '-infinity',
  step text NOT NULL DEFAULT '',
  steps bigint NOT NULL DEFAULT 0,
  done bigint NOT NULL DEFAULT 0,
  total bigint,
  rate double precision NOT NULL DEFAULT 0,
  yielding boolean NOT NULL DEFAULT false,
  attempts int NOT NULL DEFAULT 0,
  cancelled_by text,
  reason text NOT NULL DEFAULT '',
  message text NOT NULL DEFAULT '',
  undone text NOT NULL DEFAULT '',
  PRIMARY KEY (tenant_id, operation_id),
  CHECK ((state IN ('running', 'cancelling')) = (slot IS NOT NULL))
) WITH (fillfactor = 50);
-- As many run of a tenant at a time as there are slots, whoever claims them.
CREATE UNIQUE INDEX operation_slot ON operation (tenant_id, slot) WHERE slot IS NOT NULL;
-- One of its kind at a time, where its kind says so.
CREATE UNIQUE INDEX operation_alone ON operation (tenant_id, kind)
WHERE exclusive AND state IN ('waiting', 'running', 'cancelling');
-- Few are open, of all tenants together: whoever looks for work reads this index through.
CREATE INDEX operation_open ON operation (tenant_id, created_at)
WHERE state IN ('waiting', 'running', 'cancelling');
CREATE INDEX operation_newest ON operation (tenant_id, created_at, operation_id);

-- What was done, step by step. The row of a step commits with its effect; a step whose effect lies outside of this
-- database has one from before it, and one from after it.
CREATE TABLE operation_step (
  tenant_id uuid NOT NULL,
  operation_id uuid NOT NULL,
  number bigint NOT NULL,
  phase text NOT NULL CHECK (phase IN ('begin', 'done')),
  step text NOT NULL,
  epoch bigint NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, operation_id, number, phase)
);

-- Rows of the change log that retention removed, as the roots of the largest complete subtrees that their leaves make
-- up (RFC 6962 §2.1), from left to right: with them the tree still verifies.
CREATE TABLE removed_range (
  tenant_id uuid NOT NULL,
  last_seq bigint NOT NULL,
  first_seq bigint NOT NULL CHECK (first_seq BETWEEN 1 AND last_seq),
  nodes bytea NOT NULL,
  PRIMARY KEY (tenant_id, last_seq)
);
ALTER TABLE removed_range ALTER COLUMN nodes SET STORAGE EXTERNAL;

-- How far each dataset's changes are gone: those up to `through` need not be looked at again.
CREATE TABLE retention_mark (
  tenant_id uuid NOT NULL,
  dataset_id int NOT NULL,
  through bigint NOT NULL,
  PRIMARY KEY (tenant_id, dataset_id)
);

-- Of which entities a batch of retention took versions, 20 bytes each: dataset_id (int4), entity_id. A gateway that
-- holds heads of the tenant reads here which of them to forget; `retained` in the clock row says that there is
-- something to read. It is read with the clock row, which every commit locks anyway.
CREATE TABLE retained_batch (
  tenant_id uuid NOT NULL,
  number bigint NOT NULL,
  entities bytea NOT NULL,
  PRIMARY KEY (tenant_id, number)
);
ALTER TABLE retained_batch ALTER COLUMN entities SET STORAGE EXTERNAL;
ALTER TABLE tenant_clock ADD COLUMN retained bigint NOT NULL DEFAULT 0 CHECK (retained >= 0);

-- Sealed snapshots on their way to their rows. Empty but within a transaction, so that a crash loses nothing.
CREATE UNLOGGED TABLE anchor_waiting (
  tenant_id uuid NOT NULL,
  seq bigint NOT NULL,
  snapshot bytea NOT NULL,
  PRIMARY KEY (tenant_id, seq)
);
ALTER TABLE anchor_waiting ALTER COLUMN snapshot SET STORAGE EXTERNAL;

DO $isolate$
DECLARE
  tenants_table regclass;
BEGIN
  FOREACH tenants_table IN ARRAY ARRAY[
    'operation', 'operation_step', 'removed_range', 'retention_mark', 'retained_batch', 'anchor_waiting'
  ]::regclass[] LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tenants_table);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', tenants_table);
    EXECUTE format(
      'CREATE POLICY tenant_isolation ON %s USING'
      ' (tenant_id = (SELECT NULLIF(current_setting(''intelgraph.tenant'', true), '''')::uuid))',
      tenants_table);
  END LOOP;
END
$isolate$;

-- Until when a dataset's changes and quarantined records were recorded that are to go now: the class of its newest
-- contract says it. NULL while they are held, and where there is no contract.
CREATE FUNCTION retention_cut(tenant uuid, dataset int) RETURNS timestamptz LANGUAGE sql STABLE
SET search_path = public, pg_temp
AS $cut$
  SELECT clock_timestamp() - interval '1 day' * CASE convert_from(document, 'UTF8')::json ->> 'retention'
    WHEN 'ephemeral-7d' THEN 7
    WHEN 'short-30d' THEN 30
    WHEN 'standard-365d' THEN 365
    WHEN 'long-1825d' THEN 1825
  END
  FROM contract WHERE tenant_id = tenant AND dataset_id = dataset
  ORDER BY precedence DESC LIMIT 1
$cut$;

-- The writer may neither delete nor change a row of the log, and this grants it nothing of the kind. What has to go it
-- asks for here; that it is due, this database decides: whoever holds the writer's connection can remove nothing
-- sooner than its contract says, and nothing that is held. These functions are the owner's, who is bound by row-level
-- security, so each names the tenant first.

-- Both go entity by entity, or entry by entry: a statement that joins what is to go with its table may take the table
-- for the outer side, and read all of the tenant, where there are no statistics yet.

-- Removes the changes of some entities (16 bytes each) up to `until`, once the kept versions that lean on them have got
-- the snapshots that wait. Gives the leaves of what is gone, each after its seq (40 bytes together), in no order. Under
-- the tenant's clock row.
CREATE FUNCTION retention_remove(
  tenant uuid, dataset int, entities bytea, until bigint, OUT removed bigint, OUT anchored bigint, OUT leaves bytea
) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $remove$
DECLARE
  cut timestamptz;
  anchor record;
  entity uuid;
  gone record;
  parts bytea[] := '{}';
  batch bigint;
BEGIN
  PERFORM set_config('intelgraph.tenant', tenant::text, true);
  cut := retention_cut(tenant, dataset);
  IF cut IS NULL THEN
    RAISE EXCEPTION 'the dataset is held' USING ERRCODE = 'IG003';
  END IF;

  anchored := 0;
  FOR anchor IN
    SELECT log.*, waiting.snapshot AS waits FROM anchor_waiting AS waiting
    CROSS JOIN LATERAL (
      SELECT kept.seq, kept.entity_id, kept.valid_at, kept.since_base FROM entity_change_log AS kept
      WHERE kept.tenant_id = tenant AND kept.seq = waiting.seq AND kept.dataset_id = dataset AND kept.seq > until
      OFFSET 0
    ) AS log
    WHERE waiting.tenant_id = tenant
  LOOP
    -- The rows up to the next base count from here on.
    UPDATE entity_change_log AS log
    SET since_base = log.since_base - anchor.since_base,
      snapshot = CASE WHEN log.seq = anchor.seq THEN anchor.waits END
    WHERE log.tenant_id = tenant AND log.entity_id = anchor.entity_id AND log.dataset_id = dataset AND log.op <= 3
      AND (log.valid_at, log.seq) >= (anchor.valid_at, anchor.seq)
      AND log.seq < coalesce((
        SELECT base.seq FROM entity_change_log AS base
        WHERE base.tenant_id = tenant AND base.entity_id = anchor.entity_id AND base.dataset_id = dataset
          AND base.op <= 3 AND base.since_base = 0 AND (base.valid_at, base.seq) > (anchor.valid_at, anchor.seq)
        ORDER BY base.valid_at, base.seq LIMIT 1
      ), 9223372036854775807);
    anchored := anchored + 1;
  END LOOP;
  DELETE FROM anchor_waiting AS waiting WHERE waiting.tenant_id = tenant;

  removed := 0;
  FOR entity IN
    SELECT encode(substring(entities FROM 16 * i + 1 FOR 16), 'hex')::uuid
    FROM generate_series(0, octet_length(entities) / 16 - 1) AS i
  LOOP
    WITH row_gone AS (
      DELETE FROM entity_change_log AS log
      WHERE log.tenant_id = tenant AND log.entity_id = entity AND log.dataset_id = dataset
        AND log.seq <= until AND log.recorded < cut
      RETURNING log.seq, log.leaf
    )
    SELECT count(*) AS changes, string_agg(int8send(seq) || leaf, ''::bytea) AS leaves INTO gone FROM row_gone;
    removed := removed + gone.changes;
    parts := parts || gone.leaves;
  END LOOP;
  SELECT coalesce(string_agg(part, ''::bytea), '') INTO leaves FROM unnest(parts) AS part;

  UPDATE tenant_clock AS clock SET retained = retained + 1 WHERE clock.tenant_id = tenant
  RETURNING retained INTO batch;
  INSERT INTO retained_batch (tenant_id, number, entities)
  SELECT tenant, batch,
    coalesce(string_agg(int4send(dataset) || substring(entities FROM 16 * i + 1 FOR 16), ''::bytea), '')
  FROM generate_series(0, octet_length(entities) / 16 - 1) AS i;
  -- A gateway that is further behind forgets all heads of the tenant.
  DELETE FROM retained_batch AS old WHERE old.tenant_id = tenant AND old.number <= batch - 1000;
END
$remove$;

-- Removes the oldest entries of quarantine with their records, about `most` of these at a time, and lowers the count in
-- the clock row, which must be locked.
CREATE FUNCTION retention_remove_quarantine(
  tenant uuid, dataset int, before timestamptz, most int, OUT entries bigint, OUT records bigint
) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
AS $remove$
DECLARE
  cut timestamptz;
  oldest record;
BEGIN
  PERFORM set_config('intelgraph.tenant', tenant::text, true);
  cut := retention_cut(tenant, dataset);
  IF cut IS NULL THEN
    RAISE EXCEPTION 'the dataset is held' USING ERRCODE = 'IG003';
  END IF;

  entries := 0;
  records := 0;
  FOR oldest IN
    SELECT entry.quarantine_id, entry.records FROM quarantine AS entry
    WHERE entry.tenant_id = tenant AND entry.recorded < least(before, cut) AND entry.dataset_id = dataset
    ORDER BY entry.recorded, entry.quarantine_id LIMIT most
  LOOP
    DELETE FROM quarantine_record AS record
    WHERE record.tenant_id = tenant AND record.quarantine_id = oldest.quarantine_id;
    DELETE FROM quarantine AS entry
    WHERE entry.tenant_id = tenant AND entry.quarantine_id = oldest.quarantine_id;
    entries := entries + 1;
    records := records + oldest.records;
    EXIT WHEN records >= most;
  END LOOP;

  UPDATE tenant_clock AS clock SET quarantined = quarantined - retention_remove_quarantine.records
  WHERE clock.tenant_id = tenant;
END
$remove$;

REVOKE EXECUTE ON FUNCTION
  retention_remove(uuid, int, bytea, bigint), retention_remove_quarantine(uuid, int, timestamptz, int)
FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
  retention_remove(uuid, int, bytea, bigint), retention_remove_quarantine(uuid, int, timestamptz, int)
TO intelgraph_writer;

GRANT SELECT ON operation, operation_step, removed_range, retention_mark, retained_batch, anchor_waiting
TO intelgraph_reader;
GRANT SELECT, INSERT, UPDATE ON operation TO intelgraph_writer;
GRANT SELECT, INSERT ON operation_step TO intelgraph_writer;
-- Ranges that have come to follow each other are made one.
GRANT SELECT, INSERT, DELETE ON removed_range TO intelgraph_writer;
GRANT SELECT, INSERT, UPDATE ON retention_mark TO intelgraph_writer;
GRANT SELECT ON retained_batch TO intelgraph_writer;
GRANT INSERT ON anchor_waiting TO intelgraph_writer;

-- migrate: rollback
