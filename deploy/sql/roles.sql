-- Roles for kismet-export: a writer that can write and change nothing else, and a reader for
-- dashboards. Run it as the owner of the tables (or a superuser), once they are there:
--
--   kismet-export schema -c kismet-export.yaml | psql -d kismet
--   psql -d kismet -f deploy/sql/roles.sql
--
-- then set passwords (\password kismet_writer) and `migrate: check` in the configuration. Variables:
--
--   -v schema=NAME                    of the tables, default public
--   -v writer=NAME -v reader=NAME     default kismet_writer, kismet_reader
--   -v retention=on                   the writer may delete, for `retention:` and history.retention
--
-- It may be run again, as after an update that brought a table.

\set ON_ERROR_STOP on
\if :{?schema}
\else
    \set schema public
\endif
\if :{?writer}
\else
    \set writer kismet_writer
\endif
\if :{?reader}
\else
    \set reader kismet_reader
\endif
\if :{?retention}
\else
    \set retention off
\endif

BEGIN;

SELECT format('CREATE ROLE %I LOGIN', name)
FROM (VALUES (:'writer'), (:'reader')) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

-- Each batch goes through a temporary table.
GRANT CONNECT, TEMPORARY ON DATABASE :"DBNAME" TO :"writer";
GRANT CONNECT ON DATABASE :"DBNAME" TO :"reader";
GRANT USAGE ON SCHEMA :"schema" TO :"writer", :"reader";

-- What is written. SELECT, because a row is compared with what is there.
SELECT format('GRANT SELECT, INSERT, UPDATE%s ON TABLE %I.%I TO %I',
    CASE WHEN :'retention' IN ('on', '1', 'true', 'yes') THEN ', DELETE' END,
    :'schema', relname, :'writer')
FROM pg_class
WHERE relnamespace = to_regnamespace(quote_ident(:'schema')) AND relkind IN ('r', 'p')
    AND relname IN ('kismet_devices', 'kismet_device_sources', 'kismet_device_history',
        'kismet_events', 'kismet_sources')
\gexec

-- An adopted kismet_events numbers its rows by a sequence; ours needs no right on one.
SELECT format('GRANT USAGE ON SEQUENCE %s TO %I', s.oid::regclass, :'writer')
FROM pg_class s
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.deptype = 'a'
JOIN pg_class t ON t.oid = d.refobjid
WHERE s.relkind = 'S' AND t.relname LIKE 'kismet\_%'
    AND t.relnamespace = to_regnamespace(quote_ident(:'schema'))
\gexec

-- The version, to be looked at.
SELECT format('GRANT SELECT ON TABLE %I.%I TO %I', :'schema', relname, :'writer')
FROM pg_class
WHERE relnamespace = to_regnamespace(quote_ident(:'schema')) AND relname = 'kismet_export_meta'
\gexec

-- What dashboards read: the tables and the views.
SELECT format('GRANT SELECT ON TABLE %I.%I TO %I', :'schema', relname, :'reader')
FROM pg_class
WHERE relnamespace = to_regnamespace(quote_ident(:'schema')) AND relkind IN ('r', 'p', 'v')
    AND (relname LIKE 'kismet\_%'
        OR relname IN ('new_devices', 'recent_devices', 'device_stats'))
\gexec

COMMIT;
