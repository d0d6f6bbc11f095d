-- AlterTable
ALTER TABLE "members" ADD COLUMN     "permalink" TEXT,
ADD COLUMN     "time_zone" TEXT;
