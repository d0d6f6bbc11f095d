-- CreateTable
CREATE TABLE "member_counts" (
    "network_id" UUID NOT NULL,
    "members" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "member_counts_pkey" PRIMARY KEY ("network_id")
);

-- AddForeignKey
ALTER TABLE "member_counts" ADD CONSTRAINT "member_counts_network_id_fkey" FOREIGN KEY ("network_id") REFERENCES "networks"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- By hand from here on: what schema.prisma cannot say. `npm run migration -- --again` keeps it, and
-- test/database/migrate-catalog.test.ts lists each line of it with its reason.

-- How many members each network has, kept by triggers in the transaction of each write, whoever writes: a count of a
-- million rows takes a second. A write of members holds its network's row of member_feeds until it commits, and changes
-- the count after that: so writers of one network change it one after the other.
--
-- A row begins with what there is, whatever the INSERT says. So a network without a row (of before this migration, or of
-- a restore that left this table out) gets a true one with its next write, and rows restored before their members, with
-- the triggers at work, are not counted twice.
CREATE FUNCTION "member_count_begins"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.members := (SELECT count(*) FROM public.members WHERE network_id = NEW.network_id);
    RETURN NEW;
END $$;

-- For whoever has just inserted or deleted members, and holds the network's row of member_feeds.
CREATE FUNCTION "member_count_changed"(network uuid, change bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE public.member_counts SET members = members + change WHERE network_id = network;
    IF NOT FOUND THEN
        -- The new row begins with the change in it. Another one can only come from member_counts_repair(), which runs at
        -- the same time and does not see the change yet.
        INSERT INTO public.member_counts AS kept (network_id) VALUES (network)
        ON CONFLICT (network_id) DO UPDATE SET members = kept.members + change;
    END IF;
END $$;

CREATE FUNCTION "members_counted"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- An INSERT ... ON CONFLICT DO UPDATE has here only what it inserted.
    PERFORM public.member_count_changed(network_id, count(*)) FROM added GROUP BY network_id ORDER BY network_id;
    RETURN NULL;
END $$;

-- As before, and the count.
CREATE OR REPLACE FUNCTION "members_deleted"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    network uuid;
BEGIN
    -- Where the network itself is being deleted, there is nobody left to tell.
    FOR network IN SELECT id FROM public.networks WHERE id IN (SELECT network_id FROM gone) ORDER BY id LOOP
        INSERT INTO public.member_deletions (network_id, position, member_id, external_id, deleted_at)
        SELECT network_id, public.member_feed_position(network), id, external_id, clock_timestamp()
        FROM gone WHERE network_id = network
        -- Twice in one transaction, and there again between.
        ON CONFLICT DO NOTHING;
        PERFORM public.member_count_changed(network, -count(*)) FROM gone WHERE network_id = network;
    END LOOP;
    RETURN NULL;
END $$;

-- For an operator: puts right every count that is wrong, and returns the networks that it was wrong for. Count and members
-- of one statement's snapshot differ by what went past the triggers, and by that the count is changed, whatever it is by
-- then: so nobody has to wait while it counts. Two at once would do it twice.
CREATE FUNCTION "member_counts_repair"() RETURNS TABLE ("network_id" uuid, "was" bigint, "members" bigint) LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE public.member_counts IN SHARE UPDATE EXCLUSIVE MODE;
    RETURN QUERY
        WITH wrong AS MATERIALIZED (
            SELECT kept.network_id AS id, kept.members AS recorded, COALESCE(found.members, 0) - kept.members AS missing
            FROM public.member_counts AS kept
            LEFT JOIN (SELECT m.network_id, count(*) AS members FROM public.members AS m GROUP BY m.network_id) AS found
                ON found.network_id = kept.network_id
            WHERE kept.members <> COALESCE(found.members, 0)
        )
        UPDATE public.member_counts AS kept SET members = kept.members + wrong.missing
        FROM wrong WHERE kept.network_id = wrong.id
        RETURNING kept.network_id, wrong.recorded, kept.members;
    INSERT INTO public.member_counts AS kept (network_id)
    SELECT n.id FROM public.networks AS n
    WHERE NOT EXISTS (SELECT FROM public.member_counts AS other WHERE other.network_id = n.id) ORDER BY n.id
    ON CONFLICT DO NOTHING;
END $$;

-- As before, and the counts.
CREATE OR REPLACE FUNCTION "member_feeds_restored"() RETURNS void LANGUAGE sql AS $$
    UPDATE public.member_feeds AS feed SET
        history = public.member_feed_history(feed, NULL), epoch = gen_random_uuid(), place = public.member_feed_place();
    SELECT FROM public.member_counts_repair();
$$;

CREATE TRIGGER "member_counts_begin" BEFORE INSERT ON "member_counts" FOR EACH ROW EXECUTE FUNCTION "member_count_begins"();
CREATE TRIGGER "members_counted" AFTER INSERT ON "members" REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION "members_counted"();

-- Also in a session that replays somebody else's changes (session_replication_role).
ALTER TABLE "member_counts" ENABLE ALWAYS TRIGGER "member_counts_begin";
ALTER TABLE "members" ENABLE ALWAYS TRIGGER "members_counted";

-- Every write of members writes its network's row: room beside it, so that no index is touched.
ALTER TABLE "member_counts" SET (fillfactor = 20);
