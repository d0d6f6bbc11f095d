-- AlterTable
ALTER TABLE "secrets" ADD COLUMN     "received_by_ids" UUID[] DEFAULT ARRAY[]::UUID[];
