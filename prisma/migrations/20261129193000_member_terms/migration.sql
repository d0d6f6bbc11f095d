-- By hand from here on: what schema.prisma cannot say. `npm run migration -- --again` keeps it, and
-- test/database/migrate-catalog.test.ts lists each line of it with its reason.

-- The filters of members find their rows by terms: numbers that stand for what a member has (a role, a tag, three letters
-- of the name) in its network. The network is part of each term, so a search for a value reads nothing that depends on
-- whether other networks have it. An index over the columns themselves keeps one list of rows per value, for all networks
-- together: how long a search in it takes tells how common the value is elsewhere.
--
-- A term is 64 bits: the upper 20 are the network's, so that the terms of a network lie together in the index; the lower
-- 44 are a hash of the network, the kind and the value. Where two values share a term, the filter's own condition tells
-- their rows apart. PostgreSQL keeps these hash functions the same across releases: hash partitions rest on them.
--
-- Everything is written with its schema: indexes are built with an empty search_path.

-- Written as loops: a query of its own for each list would take twice as long, and each row that is stored passes here.

-- Of some values, each with its kind in front (`role`, `status`; `name` and `email` for how these begin) and a line feed
-- between. A tag stands alone: no tag has a control character.
CREATE FUNCTION "member_value_terms"(network uuid, given text[]) RETURNS bigint[]
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    upper_bits bigint := pg_catalog.uuid_hash_extended(network, 0) & -17592186044416;
    seed bigint := pg_catalog.uuid_hash_extended(network, 1);
    terms bigint[] := '{}';
    value text;
BEGIN
    FOREACH value IN ARRAY given LOOP
        terms := terms || (upper_bits | (pg_catalog.hashtextextended(value COLLATE "C", seed) & 17592186044415));
    END LOOP;
    RETURN terms;
END $$;

-- Of a text that may stand anywhere in a name or an address (`kind`): every three characters in a row. A shorter one can
-- only be looked for at the beginning.
CREATE FUNCTION "member_text_terms"(network uuid, kind text, given text) RETURNS bigint[]
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    upper_bits bigint := pg_catalog.uuid_hash_extended(network, 0) & -17592186044416;
    seed bigint := pg_catalog.hashtextextended(kind COLLATE "C", pg_catalog.uuid_hash_extended(network, 2));
    terms bigint[] := '{}';
BEGIN
    IF length(given) < 3 THEN
        RETURN public.member_value_terms(network, ARRAY[kind || E'\n' || given]);
    END IF;
    FOR place IN 1 .. length(given) - 2 LOOP
        terms[place] := upper_bits | (pg_catalog.hashtextextended(substr(given, place, 3) COLLATE "C", seed) & 17592186044415);
    END LOOP;
    RETURN terms;
END $$;

-- Of the custom fields that have a text, a number or a boolean: a term stands for the name with the value.
CREATE FUNCTION "member_field_terms"(network uuid, custom_fields jsonb) RETURNS bigint[]
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    upper_bits bigint := pg_catalog.uuid_hash_extended(network, 0) & -17592186044416;
    seed bigint := pg_catalog.uuid_hash_extended(network, 3);
    terms bigint[] := '{}';
    field record;
BEGIN
    FOR field IN SELECT key, value FROM pg_catalog.jsonb_each(custom_fields) LOOP
        IF pg_catalog.jsonb_typeof(field.value) IN ('string', 'number', 'boolean') THEN
            terms := terms || (upper_bits | (pg_catalog.jsonb_hash_extended(
                field.value, pg_catalog.hashtextextended(field.key COLLATE "C", seed)) & 17592186044415));
        END IF;
    END LOOP;
    RETURN terms;
END $$;

-- All terms of a member. The cost keeps the planner from working them out row by row where the index has them.
CREATE FUNCTION "member_terms"(
    network uuid, role "member_role", status "member_status", tags text[], custom_fields jsonb, name text, email text
) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 1000 AS $$
DECLARE
    terms bigint[] := public.member_value_terms(network, tags || ARRAY[
        E'role\n' || role::text, E'status\n' || status::text,
        E'name\n' || left(name, 1), E'name\n' || left(name, 2),
        E'email\n' || left(email, 1), E'email\n' || left(email, 2)
    ]);
BEGIN
    IF length(name) >= 3 THEN
        terms := terms || public.member_text_terms(network, 'name', name);
    END IF;
    IF length(email) >= 3 THEN
        terms := terms || public.member_text_terms(network, 'email', email);
    END IF;
    IF custom_fields <> '{}' THEN
        terms := terms || public.member_field_terms(network, custom_fields);
    END IF;
    RETURN terms;
END $$;

-- While it is built, members are read as before, and whoever would write one waits.
CREATE INDEX "members_terms_idx" ON "members" USING gin (
    "member_terms"("network_id", "role", "status", "tags", "custom_fields", "name_folded", "email_folded")
);
-- No statistics: the planner is to know nothing about the values of a table that all networks share.
ALTER INDEX "members_terms_idx" ALTER COLUMN 1 SET STATISTICS 0;
