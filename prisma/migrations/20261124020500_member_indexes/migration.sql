-- CreateIndex
CREATE INDEX "members_network_id_changed_position_id_idx" ON "members"("network_id", "changed_position", "id");

-- CreateIndex
CREATE INDEX "members_network_id_updated_at_id_idx" ON "members"("network_id", "updated_at", "id");

-- By hand from here on: what schema.prisma cannot say. `npm run migration -- --again` keeps it, and
-- test/database/migrate-catalog.test.ts lists each line of it with its reason.

-- In a migration of its own, behind the columns: while an index of a large table is built, members are read as before, and
-- whoever would write one waits. Together with new columns, whoever would read one would wait as well.

-- The order by lastActiveAt: who was never active stands before any time. One index serves both ways, and a place in it
-- is compared like any other, without a case for null.
CREATE INDEX "members_last_active_idx"
    ON "members" ("network_id", COALESCE("last_active_at", '-infinity'::timestamptz), "id");

-- Every filter that no index above serves, in one: the network stands in it, so that what is common elsewhere costs
-- nothing here, and two filters meet inside of it. Role and status, too: sorted indexes of theirs would be so small that
-- the planner takes them for the whole of a network whose size it does not know yet.
CREATE INDEX "members_search_idx" ON "members" USING gin (
    "network_id", "role", "status", "tags", "custom_fields" jsonb_path_ops, "name_folded" gin_trgm_ops, "email_folded" gin_trgm_ops
);
