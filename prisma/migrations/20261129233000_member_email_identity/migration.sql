-- AlterTable
ALTER TABLE "members" ADD COLUMN     "email_identity" TEXT,
ADD COLUMN     "email_identity_of" TEXT;

-- By hand from here on: what schema.prisma cannot say. `npm run migration -- --again` keeps it, and
-- test/database/migrate-catalog.test.ts lists each line of it with its reason.

-- Which mailbox a member's address names: `ada@bücher.example` and `ada@xn--bcher-kva.example` are one. SQL has no UTS 46, so
-- gateways work the identity out and write it, with the folded address that it was worked out from. It counts only while
-- that is the member's address. So whoever changes the address and knows nothing of these columns (the previous release,
-- an operator's own SQL) makes the identity void without a trigger, and gateways work it out again.
--
-- Plain ASCII is its own identity: these columns stay null, and no row of it is ever written for them.

-- Compared by their bytes, as the folded address. Nothing is rewritten.
ALTER TABLE "members" ALTER COLUMN "email_identity" TYPE TEXT COLLATE "C", ALTER COLUMN "email_identity_of" TYPE TEXT COLLATE "C";

-- As before, but an identity that is filled in is no change of the member: its time and its place in the feed stay.
CREATE OR REPLACE FUNCTION "member_written"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    rest record;
BEGIN
    IF TG_OP = 'UPDATE' AND (NEW.email_identity IS DISTINCT FROM OLD.email_identity
                             OR NEW.email_identity_of IS DISTINCT FROM OLD.email_identity_of) THEN
        rest := NEW;
        rest.email_identity := OLD.email_identity;
        rest.email_identity_of := OLD.email_identity_of;
        IF rest IS NOT DISTINCT FROM OLD THEN
            RETURN NEW;
        END IF;
    END IF;
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
