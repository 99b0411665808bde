-- The tables that an emperor with `emperor = pg://...` reads. Run it as their owner; it may be run again:
--
--     psql -d apps -f vassals.sql

CREATE TABLE IF NOT EXISTS vassals (
    -- The ending is the language of config. Other endings are no vassals.
    name    text PRIMARY KEY CHECK (name ~ '^[^./][^/]*\.(ini|ya?ml|json|js)$'),
    config  text NOT NULL,
    -- A later (or any other) time is a `touch`: the vassal reloads. So does a changed config, whatever ts says.
    ts      timestamptz NOT NULL DEFAULT now(),
    enabled boolean NOT NULL DEFAULT true,
    -- Who the vassal runs as, by name or number, when the emperor runs as root.
    uid     text,
    gid     text,
    -- With a socket here the vassal is started by the first connection to it.
    socket  text,
    -- The only hosts that may run it; NULL for any.
    hosts   text[]
);

-- Only for `share=`: which hosts are there. A host enters itself. To empty one, for maintenance:
--     UPDATE vassals_hosts SET enabled = false WHERE host = 'web1';
CREATE TABLE IF NOT EXISTS vassals_hosts (
    host    text PRIMARY KEY,
    seen    timestamptz NOT NULL DEFAULT now(),
    enabled boolean NOT NULL DEFAULT true
);

-- Makes a change visible at once on all hosts.
CREATE OR REPLACE FUNCTION vassals_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('vassals', TG_ARGV[0]);
    RETURN NULL;
END
$$;

DROP TRIGGER IF EXISTS vassals_notify ON vassals;
CREATE TRIGGER vassals_notify
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON vassals
    FOR EACH STATEMENT EXECUTE FUNCTION vassals_notify('');

-- Not for `seen`, which every host writes all the time.
DROP TRIGGER IF EXISTS vassals_notify ON vassals_hosts;
CREATE TRIGGER vassals_notify
    AFTER UPDATE OF enabled OR DELETE ON vassals_hosts
    FOR EACH STATEMENT EXECUTE FUNCTION vassals_notify('uwgate-host');

-- The emperors' own user reads the one table and enters its hosts in the other:
--     CREATE USER emperor PASSWORD '...';
--     GRANT SELECT ON vassals, vassals_hosts TO emperor;
--     GRANT INSERT, UPDATE (seen) ON vassals_hosts TO emperor;
-- Whoever may write into vassals runs programs on every host: grant that with care.
