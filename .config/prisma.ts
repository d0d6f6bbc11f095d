import { defineConfig } from 'prisma/config';

// Prisma's command line looks for a native engine and would download one. `generate` needs none: any executable
// satisfies the check. Migrations run in process instead (src/database/migrate/migrate.ts).
process.env['PRISMA_SCHEMA_ENGINE_BINARY'] ??= process.execPath;

export default defineConfig({ schema: '../prisma/schema.prisma' });
