/** Why a database could not be migrated: one sentence for the operator. What PostgreSQL or Prisma said is its cause. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError';
}
