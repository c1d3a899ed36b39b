-- Nothing goes by a contract whose document is not the one that was published
-- depends: 0008_packed_outbox

-- migrate: apply

-- NULL, as for what is held, where the newest contract's document is not what its digest says, too.
CREATE OR REPLACE FUNCTION retention_cut(tenant uuid, dataset int) RETURNS timestamptz LANGUAGE sql STABLE
SET search_path = public, pg_temp
AS $cut$
  SELECT clock_timestamp() - interval '1 day' * CASE
    WHEN digest = sha256(document) THEN CASE convert_from(document, 'UTF8')::json ->> 'retention'
      WHEN 'ephemeral-7d' THEN 7
      WHEN 'short-30d' THEN 30
      WHEN 'standard-365d' THEN 365
      WHEN 'long-1825d' THEN 1825
    END
  END
  FROM contract WHERE tenant_id = tenant AND dataset_id = dataset
  ORDER BY precedence DESC LIMIT 1
$cut$;

-- migrate: rollback
