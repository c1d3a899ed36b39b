-- The gateway's three roles, for the whole server; run once by a superuser. The embedded server gets them when
-- it is created. On a PostgreSQL of your own, run this file, give each role a password (\password), and create
-- a database that belongs to intelgraph_owner.
--
--   owner   migrates the schema and owns the tables; never serves.
--   writer  commits what arrives. COPY FROM does not work under row-level security, hence BYPASSRLS; what it
--           may touch is granted table by table, and never includes reading a sealed value.
--   reader  serves every read, under row-level security, in a transaction that names the tenant.
DO $roles$
DECLARE
  role text;
BEGIN
  FOREACH role IN ARRAY ARRAY['intelgraph_owner', 'intelgraph_writer', 'intelgraph_reader'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
      EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT', role);
    END IF;
  END LOOP;
  ALTER ROLE intelgraph_writer BYPASSRLS;
END
$roles$;
