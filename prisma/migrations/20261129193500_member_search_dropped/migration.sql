-- By hand from here on: what schema.prisma cannot say. `npm run migration -- --again` keeps it, and
-- test/database/migrate-catalog.test.ts lists each line of it with its reason.

-- Replaced by members_terms_idx. Gateways of the previous release go on without it: their filters read the network's rows
-- one by one, so they are slower, and right. Kept for them, it would make every write of a member twice as dear.
--
-- In a migration of its own: the lock that a drop needs, taken after the one under which an index was built, could wait for
-- a writer that waits for that one.
DROP INDEX "members_search_idx";
