/**
 * The least that can send a page: `node:http`, one prepared query of the six columns, JSON. No GraphQL, no token, no
 * log; its cursors are not signed. BENCH_NETWORK_ID says whose members.
 */
import { createServer } from 'node:http';
import pg from 'pg';
import { toId } from '../../../src/domain/id.ts';
import { announce } from './announce.ts';

interface Row {
  readonly id: string;
  readonly name: string;
  readonly role: string;
  readonly status: string;
  readonly location: string | null;
  readonly created_at: Date;
}

const FIRST_ID = '00000000-0000-0000-0000-000000000000';
const TEXT = `SELECT id, name, role, status, location, created_at FROM members
WHERE network_id = $1 AND id > $2::uuid ORDER BY network_id, id LIMIT $3`;

const networkId = process.env['BENCH_NETWORK_ID'];
const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'], max: 10 });

async function page(path: string): Promise<string> {
  const parameters = new URLSearchParams(path.slice(path.indexOf('?')));
  const first = Number(parameters.get('first'));
  const after = parameters.get('after');
  const place = after === null ? FIRST_ID : Buffer.from(after, 'base64url').toString();
  const { rows } = await pool.query<Row>({ name: 'page', text: TEXT, values: [networkId, place, first + 1] });
  const edges = rows.slice(0, first).map(({ id, name, role, status, location, created_at }) => ({
    cursor: Buffer.from(id).toString('base64url'),
    node: { id: toId('Member', id), name, role, status, location, createdAt: created_at },
  }));
  const pageInfo = { hasNextPage: rows.length > first, endCursor: edges.at(-1)?.cursor ?? null };
  return JSON.stringify({ data: { members: { edges, pageInfo } } });
}

announce(
  createServer((request, response) => {
    page(request.url ?? '/').then(
      (body) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
        response.end(body);
      },
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  }),
);
