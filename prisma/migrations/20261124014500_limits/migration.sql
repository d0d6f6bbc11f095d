-- AlterTable
ALTER TABLE "networks" ADD COLUMN     "monthly_quota" INTEGER,
ADD COLUMN     "monthly_quota_enforced" BOOLEAN NOT NULL DEFAULT false;

-- CreateTable
CREATE TABLE "network_months" (
    "network_id" UUID NOT NULL,
    "month" TIMESTAMPTZ(3) NOT NULL,
    "requests" BIGINT NOT NULL,

    CONSTRAINT "network_months_pkey" PRIMARY KEY ("network_id","month")
);

-- AddForeignKey
ALTER TABLE "network_months" ADD CONSTRAINT "network_months_network_id_fkey" FOREIGN KEY ("network_id") REFERENCES "networks"("id") ON DELETE CASCADE ON UPDATE CASCADE;
