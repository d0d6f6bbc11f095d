-- CreateEnum
CREATE TYPE "plan" AS ENUM ('STANDARD', 'PREMIUM', 'CUSTOM');

-- CreateEnum
CREATE TYPE "admin_role" AS ENUM ('OWNER', 'ADMIN');

-- CreateEnum
CREATE TYPE "member_role" AS ENUM ('OWNER', 'ADMIN', 'MODERATOR', 'MEMBER');

-- CreateEnum
CREATE TYPE "member_status" AS ENUM ('ACTIVE', 'INVITED', 'SUSPENDED');

-- CreateEnum
CREATE TYPE "key_environment" AS ENUM ('LIVE', 'TEST');

-- CreateEnum
CREATE TYPE "actor_kind" AS ENUM ('ADMIN', 'KEY', 'COMMAND_LINE');

-- CreateTable
CREATE TABLE "networks" (
    "id" UUID NOT NULL,
    "slug" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "plan" "plan" NOT NULL DEFAULT 'STANDARD',
    "requests_per_minute" INTEGER,
    "network_requests_per_minute" INTEGER,
    "cost_per_minute" INTEGER,
    "suspended_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "networks_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "admins" (
    "id" UUID NOT NULL,
    "network_id" UUID NOT NULL,
    "email" TEXT NOT NULL,
    "email_folded" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "role" "admin_role" NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "removed_at" TIMESTAMPTZ(3),

    CONSTRAINT "admins_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "api_keys" (
    "id" UUID NOT NULL,
    "network_id" UUID NOT NULL,
    "admin_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "name_folded" TEXT NOT NULL,
    "redacted_token" TEXT NOT NULL,
    "scopes" TEXT[],
    "environment" "key_environment" NOT NULL DEFAULT 'LIVE',
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by_kind" "actor_kind" NOT NULL,
    "created_by_id" UUID,
    "expires_at" TIMESTAMPTZ(3),
    "last_used_at" TIMESTAMPTZ(3),
    "revoked_at" TIMESTAMPTZ(3),
    "revoked_by_kind" "actor_kind",
    "revoked_by_id" UUID,

    CONSTRAINT "api_keys_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "secrets" (
    "digest" BYTEA NOT NULL,
    "key_id" UUID NOT NULL,
    "network_id" UUID NOT NULL,
    "expires_at" TIMESTAMPTZ(3),
    "last_used_at" TIMESTAMPTZ(3),

    CONSTRAINT "secrets_pkey" PRIMARY KEY ("digest")
);

-- CreateTable
CREATE TABLE "members" (
    "id" UUID NOT NULL,
    "network_id" UUID NOT NULL,
    "external_id" TEXT,
    "name" TEXT NOT NULL,
    "name_folded" TEXT NOT NULL,
    "email" TEXT NOT NULL,
    "email_folded" TEXT NOT NULL,
    "role" "member_role" NOT NULL DEFAULT 'MEMBER',
    "status" "member_status" NOT NULL DEFAULT 'ACTIVE',
    "avatar_url" TEXT,
    "location" TEXT,
    "tags" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "custom_fields" JSONB NOT NULL DEFAULT '{}',
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "last_active_at" TIMESTAMPTZ(3),

    CONSTRAINT "members_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "audit_events" (
    "id" UUID NOT NULL,
    "network_id" UUID NOT NULL,
    "action" TEXT NOT NULL,
    "actor_kind" "actor_kind" NOT NULL,
    "actor_id" UUID,
    "subject_type" TEXT NOT NULL,
    "subject_id" UUID,
    "details" JSONB NOT NULL DEFAULT '{}',
    "request_id" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "audit_events_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "networks_slug_key" ON "networks"("slug");

-- CreateIndex
CREATE INDEX "admins_network_id_id_idx" ON "admins"("network_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "admins_network_id_email_folded_key" ON "admins"("network_id", "email_folded") WHERE ("removed_at" IS NULL);

-- CreateIndex
CREATE INDEX "api_keys_network_id_id_idx" ON "api_keys"("network_id", "id");

-- CreateIndex
CREATE INDEX "api_keys_network_id_created_at_id_idx" ON "api_keys"("network_id", "created_at", "id");

-- CreateIndex
CREATE INDEX "api_keys_network_id_name_folded_id_idx" ON "api_keys"("network_id", "name_folded", "id");

-- CreateIndex
CREATE INDEX "api_keys_admin_id_idx" ON "api_keys"("admin_id");

-- CreateIndex
CREATE UNIQUE INDEX "api_keys_network_id_name_key" ON "api_keys"("network_id", "name") WHERE ("revoked_at" IS NULL);

-- CreateIndex
CREATE INDEX "secrets_key_id_idx" ON "secrets"("key_id");

-- CreateIndex
CREATE INDEX "secrets_network_id_idx" ON "secrets"("network_id");

-- CreateIndex
CREATE INDEX "members_network_id_id_idx" ON "members"("network_id", "id");

-- CreateIndex
CREATE INDEX "members_network_id_created_at_id_idx" ON "members"("network_id", "created_at", "id");

-- CreateIndex
CREATE INDEX "members_network_id_name_folded_id_idx" ON "members"("network_id", "name_folded", "id");

-- CreateIndex
CREATE UNIQUE INDEX "members_network_id_email_folded_key" ON "members"("network_id", "email_folded");

-- CreateIndex
CREATE UNIQUE INDEX "members_network_id_external_id_key" ON "members"("network_id", "external_id");

-- CreateIndex
CREATE INDEX "audit_events_network_id_id_idx" ON "audit_events"("network_id", "id");

-- AddForeignKey
ALTER TABLE "admins" ADD CONSTRAINT "admins_network_id_fkey" FOREIGN KEY ("network_id") REFERENCES "networks"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_network_id_fkey" FOREIGN KEY ("network_id") REFERENCES "networks"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_admin_id_fkey" FOREIGN KEY ("admin_id") REFERENCES "admins"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "secrets" ADD CONSTRAINT "secrets_key_id_fkey" FOREIGN KEY ("key_id") REFERENCES "api_keys"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "secrets" ADD CONSTRAINT "secrets_network_id_fkey" FOREIGN KEY ("network_id") REFERENCES "networks"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "members" ADD CONSTRAINT "members_network_id_fkey" FOREIGN KEY ("network_id") REFERENCES "networks"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- By hand from here on: what schema.prisma cannot say. `npm run migration -- --again` keeps it, and
-- test/database/migrate-catalog.test.ts lists each line of it with its reason.

-- The text that keys and orderings are made of sorts by its bytes: order and uniqueness are the same on every server,
-- whatever its locale and its version of the locale.
ALTER TABLE "networks" ALTER COLUMN "slug" TYPE TEXT COLLATE "C";
ALTER TABLE "admins" ALTER COLUMN "email_folded" TYPE TEXT COLLATE "C";
ALTER TABLE "api_keys"
    ALTER COLUMN "name" TYPE TEXT COLLATE "C",
    ALTER COLUMN "name_folded" TYPE TEXT COLLATE "C";
ALTER TABLE "members"
    ALTER COLUMN "name_folded" TYPE TEXT COLLATE "C",
    ALTER COLUMN "email_folded" TYPE TEXT COLLATE "C",
    ALTER COLUMN "external_id" TYPE TEXT COLLATE "C";

-- A list is never null: Prisma has no other idea of one, and prepared SQL relies on it.
ALTER TABLE "api_keys" ALTER COLUMN "scopes" SET NOT NULL;
ALTER TABLE "members" ALTER COLUMN "tags" SET NOT NULL;

ALTER TABLE "networks"
    ADD CONSTRAINT "networks_requests_per_minute_check" CHECK ("requests_per_minute" > 0),
    ADD CONSTRAINT "networks_network_requests_per_minute_check" CHECK ("network_requests_per_minute" > 0),
    ADD CONSTRAINT "networks_cost_per_minute_check" CHECK ("cost_per_minute" > 0);
ALTER TABLE "api_keys"
    ADD CONSTRAINT "api_keys_revoked_check" CHECK (("revoked_at" IS NULL) = ("revoked_by_kind" IS NULL));
ALTER TABLE "secrets" ADD CONSTRAINT "secrets_digest_check" CHECK (octet_length("digest") = 32);
ALTER TABLE "members"
    ADD CONSTRAINT "members_custom_fields_check" CHECK (jsonb_typeof("custom_fields") = 'object');
ALTER TABLE "audit_events" ADD CONSTRAINT "audit_events_details_check" CHECK (jsonb_typeof("details") = 'object');
