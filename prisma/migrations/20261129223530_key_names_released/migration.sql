-- DropIndex
DROP INDEX "api_keys_network_id_name_key";

-- AlterTable
ALTER TABLE "api_keys" ADD COLUMN     "name_released_at" TIMESTAMPTZ(3);

-- CreateIndex
CREATE UNIQUE INDEX "api_keys_name_in_use_key" ON "api_keys"("network_id", "name") WHERE ("revoked_at" IS NULL AND "name_released_at" IS NULL);
