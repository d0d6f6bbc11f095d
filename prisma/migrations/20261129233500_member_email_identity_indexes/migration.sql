-- By hand: nothing of it is in schema.prisma. In a migration of its own: while the indexes are built, members are read as
-- before, and whoever would write one waits; the lock that new columns need keeps readers out, too.

-- One member a mailbox. A row whose identity is still to be worked out counts by its own spelling, behind a blank, and so
-- apart from all identities: no row that is here now can keep the index from being built, and none that the previous release
-- writes is refused by it.
CREATE UNIQUE INDEX "members_email_identity_key" ON "members" ("network_id", (
    CASE WHEN "email_identity_of" = "email_folded" THEN "email_identity"
         WHEN octet_length("email_folded") <> char_length("email_folded") OR "email_folded" LIKE '%xn--%' THEN ' ' || "email_folded"
         ELSE "email_folded" END
));

-- The rows whose identity is still to be worked out: addresses that are not plain ASCII, and what looks like Punycode. Rows
-- that stay here name a mailbox that another member of the network has (`gatehouse member conflicts`).
CREATE INDEX "members_email_pending_idx" ON "members" ("network_id", "id")
    WHERE "email_identity_of" IS DISTINCT FROM "email_folded"
      AND (octet_length("email_folded") <> char_length("email_folded") OR "email_folded" LIKE '%xn--%');
