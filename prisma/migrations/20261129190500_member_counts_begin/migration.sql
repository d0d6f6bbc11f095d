-- By hand: nothing of it is in schema.prisma.

-- The networks that are there get their counts. In a migration of its own, behind the triggers: whoever writes members by
-- now is counted, so they can be counted beside it, with no lock on the table of members.
SELECT FROM "member_counts_repair"();
