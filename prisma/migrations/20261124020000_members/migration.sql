-- AlterTable
ALTER TABLE "members" ADD COLUMN     "changed_position" BIGINT NOT NULL DEFAULT 0,
ADD COLUMN     "created_position" BIGINT NOT NULL DEFAULT 0;

-- CreateTable
CREATE TABLE "member_feeds" (
    "network_id" UUID NOT NULL,
    "position" BIGINT NOT NULL DEFAULT 0,
    "floor" BIGINT NOT NULL DEFAULT 0,
    "epoch" UUID NOT NULL DEFAULT gen_random_uuid(),
    "place" TEXT NOT NULL DEFAULT '',
    "history" JSONB NOT NULL DEFAULT '[]',

    CONSTRAINT "member_feeds_pkey" PRIMARY KEY ("network_id")
);

-- CreateTable
CREATE TABLE "member_deletions" (
    "network_id" UUID NOT NULL,
    "position" BIGINT NOT NULL,
    "member_id" UUID NOT NULL,
    "external_id" TEXT,
    "deleted_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "member_deletions_pkey" PRIMARY KEY ("network_id","position","member_id")
);

-- CreateTable
CREATE TABLE "idempotent_writes" (
    "key_id" UUID NOT NULL,
    "name_digest" BYTEA NOT NULL,
    "operation" INTEGER NOT NULL,
    "ordinal" INTEGER NOT NULL,
    "request_digest" BYTEA NOT NULL,
    "outcome" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "idempotent_writes_pkey" PRIMARY KEY ("key_id","name_digest","operation","ordinal")
);

-- CreateIndex
CREATE INDEX "member_deletions_deleted_at_idx" ON "member_deletions"("deleted_at");

-- CreateIndex
CREATE INDEX "idempotent_writes_created_at_idx" ON "idempotent_writes"("created_at");

-- AddForeignKey
ALTER TABLE "member_feeds" ADD CONSTRAINT "member_feeds_network_id_fkey" FOREIGN KEY ("network_id") REFERENCES "networks"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "member_deletions" ADD CONSTRAINT "member_deletions_network_id_fkey" FOREIGN KEY ("network_id") REFERENCES "networks"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "idempotent_writes" ADD CONSTRAINT "idempotent_writes_key_id_fkey" FOREIGN KEY ("key_id") REFERENCES "api_keys"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- By hand from here on: what schema.prisma cannot say. `npm run migration -- --again` keeps it, and
-- test/database/migrate-catalog.test.ts lists each line of it with its reason.

-- Both are of PostgreSQL's own contrib, and trusted: the database's owner may create them.
CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS btree_gin WITH SCHEMA public;

-- Tags are compared by an index from here on: by their bytes, as all that is. Nothing is rewritten.
ALTER TABLE "members" ALTER COLUMN "tags" TYPE TEXT[] COLLATE "C";

-- What is sorted and compared has a place: an operator's 'infinity' has none that a cursor could hold. Old rows are not
-- looked at for it.
ALTER TABLE "members" ADD CONSTRAINT "members_finite_times_check" CHECK (
    isfinite("created_at") AND isfinite("updated_at") AND ("last_active_at" IS NULL OR isfinite("last_active_at"))
) NOT VALID;

-- Both small sigmas are one letter from here on (domain/text.ts). Not where two addresses of a network would meet in it.
UPDATE "members" SET "name_folded" = replace("name_folded", 'ς', 'σ') WHERE "name_folded" LIKE '%ς%';
UPDATE "members" AS m SET "email_folded" = replace("email_folded", 'ς', 'σ') WHERE "email_folded" LIKE '%ς%'
    AND NOT EXISTS (SELECT FROM "members" AS other WHERE other."network_id" = m."network_id" AND other."id" <> m."id"
                    AND replace(other."email_folded", 'ς', 'σ') = replace(m."email_folded", 'ς', 'σ'));
UPDATE "admins" AS a SET "email_folded" = replace("email_folded", 'ς', 'σ') WHERE "email_folded" LIKE '%ς%'
    AND NOT EXISTS (SELECT FROM "admins" AS other WHERE other."network_id" = a."network_id" AND other."id" <> a."id"
                    AND replace(other."email_folded", 'ς', 'σ') = replace(a."email_folded", 'ς', 'σ'));
UPDATE "api_keys" SET "name_folded" = replace("name_folded", 'ς', 'σ') WHERE "name_folded" LIKE '%ς%';

-- The feed of changes. Triggers keep it, so that the previous release, an operator's own SQL and whatever comes later
-- cannot change a member without a place in it. A transaction raises its network's counter at its first change, and holds
-- the counter's row until it ends: so the order of positions is the order of commits, and whoever sees a position sees all
-- below it. To keep out of each other's way, writers lock the members they are about first, and the counter second.

-- Which database this is. Another server, timeline, database or table, or other files of the embedded server (which tells
-- them by gatehouse.place), mean that the data were restored or moved, and that positions may have been given out that this
-- counter knows nothing of. Servers that tell nothing of themselves leave it at the table.
CREATE FUNCTION "member_feed_place"() RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    place text := concat_ws(':', 'public.member_feeds'::regclass::oid,
                            (SELECT oid FROM pg_database WHERE datname = current_database()),
                            NULLIF(current_setting('gatehouse.place', true), ''));
BEGIN
    RETURN concat_ws(':', (SELECT system_identifier FROM pg_control_system()),
                     left(pg_walfile_name(pg_current_wal_lsn()), 8), place);
EXCEPTION WHEN insufficient_privilege OR undefined_function OR feature_not_supported OR object_not_in_prerequisite_state THEN
    RETURN place;
END $$;

-- The epoch that follows one when the data turn up in another place, and those that ended with it. The same whoever asks:
-- so readers can tell it before anything is written there.
CREATE FUNCTION "member_feed_epoch"(feed "member_feeds", here text) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN feed.place = here THEN feed.epoch ELSE md5(feed.epoch || ' ' || here)::uuid END
$$;

CREATE FUNCTION "member_feed_history"(feed "member_feeds", here text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN feed.place = here THEN feed.history ELSE
        jsonb_path_query_array(jsonb_build_array(jsonb_build_object('epoch', feed.epoch, 'position', feed.position))
                               || feed.history, '$[0 to 99]') END
$$;

-- For an operator who has put files back as they were, which no place can tell: ends every network's epoch, whatever its
-- place. Each time with an epoch of its own: two restores of one backup go on differently.
CREATE FUNCTION "member_feeds_restored"() RETURNS void LANGUAGE sql AS $$
    UPDATE public.member_feeds AS feed SET
        history = public.member_feed_history(feed, NULL), epoch = gen_random_uuid(), place = public.member_feed_place()
$$;

-- The same for one network, where a position that was given out in this epoch lies above its counter: then the counter has
-- been put back. Once, however many such positions come at once.
CREATE FUNCTION "member_feed_put_back"(network uuid, of_epoch uuid, told bigint) RETURNS void LANGUAGE sql AS $$
    UPDATE public.member_feeds AS feed SET
        history = public.member_feed_history(feed, NULL), epoch = gen_random_uuid(), place = public.member_feed_place()
    WHERE feed.network_id = network AND feed.epoch = of_epoch AND feed.position < told
$$;

-- The position of this transaction's changes in a network: the counter is raised once a transaction. The setting is
-- local to the transaction, and undone with a savepoint as the counter is.
CREATE FUNCTION "member_feed_position"(network uuid) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    mark text := current_setting('gatehouse.member_feed', true);
    here text;
    raised bigint;
BEGIN
    IF left(mark, 36) = network::text THEN
        RETURN substr(mark, 38)::bigint;
    END IF;
    here := public.member_feed_place();
    INSERT INTO public.member_feeds AS feed (network_id, position, place) VALUES (network, 1, here)
    ON CONFLICT (network_id) DO UPDATE SET
        position = feed.position + 1,
        epoch = public.member_feed_epoch(feed, here),
        history = public.member_feed_history(feed, here),
        place = here
    RETURNING position INTO raised;
    PERFORM set_config('gatehouse.member_feed', network || ' ' || raised, true);
    RETURN raised;
END $$;

CREATE FUNCTION "member_written"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.changed_position := public.member_feed_position(NEW.network_id);
    IF TG_OP = 'INSERT' THEN
        NEW.created_position := NEW.changed_position;
        RETURN NEW;
    END IF;
    IF NEW.network_id <> OLD.network_id THEN
        RAISE EXCEPTION 'a member stays in its network: the feed of the old one could not tell' USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.id <> OLD.id THEN
        RAISE EXCEPTION 'a member keeps its id: the feed could not tell that the old one is gone' USING ERRCODE = 'restrict_violation';
    END IF;
    NEW.created_position := OLD.created_position;
    -- The feed tells of this time: an operator's own SQL need not think of it.
    IF NEW.updated_at = OLD.updated_at THEN
        NEW.updated_at := now();
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION "members_deleted"() RETURNS trigger LANGUAGE plpgsql AS $$
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
    END LOOP;
    RETURN NULL;
END $$;

CREATE FUNCTION "members_emptied"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'members are deleted, not truncated: the feed could not tell that they are gone' USING ERRCODE = 'restrict_violation';
END $$;

CREATE FUNCTION "network_feed_begins"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.member_feeds (network_id, place) VALUES (NEW.id, public.member_feed_place());
    RETURN NULL;
END $$;

CREATE TRIGGER "members_inserted" BEFORE INSERT ON "members" FOR EACH ROW EXECUTE FUNCTION "member_written"();
CREATE TRIGGER "members_updated" BEFORE UPDATE ON "members" FOR EACH ROW
    WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION "member_written"();
CREATE TRIGGER "members_deleted" AFTER DELETE ON "members" REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION "members_deleted"();
CREATE TRIGGER "members_emptied" BEFORE TRUNCATE ON "members" FOR EACH STATEMENT EXECUTE FUNCTION "members_emptied"();
CREATE TRIGGER "networks_feed" AFTER INSERT ON "networks" FOR EACH ROW EXECUTE FUNCTION "network_feed_begins"();

-- Also in a session that replays somebody else's changes (session_replication_role).
ALTER TABLE "members" ENABLE ALWAYS TRIGGER "members_inserted", ENABLE ALWAYS TRIGGER "members_updated",
    ENABLE ALWAYS TRIGGER "members_deleted", ENABLE ALWAYS TRIGGER "members_emptied";

INSERT INTO "member_feeds" ("network_id", "place") SELECT "id", "member_feed_place"() FROM "networks";

ALTER TABLE "member_feeds" ADD CONSTRAINT "member_feeds_history_check" CHECK (jsonb_typeof("history") = 'array');
-- Every write of a member writes its network's row: room beside it, so that no index is touched.
ALTER TABLE "member_feeds" SET (fillfactor = 20);
