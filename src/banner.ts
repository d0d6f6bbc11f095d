/** What a start prints for the person who made it. */
import { isIP } from 'node:net';
import type { Config } from './config.ts';
import type { Gateway } from './gateway.ts';

const QUERY =
  '{ me { name networkId scopes } members(first: 3) { nodes { id name email role } pageInfo { endCursor } } }';

export function banner(config: Config, { url, demo }: Gateway): string {
  const outside = config.PUBLIC_URL?.replace(/\/$/, '');
  const lines = [
    '',
    `Gatehouse listens on ${url}`,
    ...(outside === undefined ? [] : [`Callers reach it at ${outside}/graphql`]),
    `GraphiQL, to explore the schema: ${outside ?? url}/graphql`,
    '',
  ];
  if (demo !== null && isLoopback(config.HOST)) {
    lines.push(
      `A demo network with ${demo.members.toLocaleString('en')} members was made. Try it; the token in this line is shown only now:`,
      '',
      curl(url, demo.token),
    );
  } else {
    lines.push(
      'Make a token with:',
      '',
      `npm run -s gatehouse -- key create --network ${demo?.slug ?? 'SLUG'} --name "My key" --scope members:read`,
    );
  }
  return `${lines.join('\n')}\n\n`;
}

function curl(url: string, token: string): string {
  const body = JSON.stringify({ query: QUERY });
  return `curl -s ${url}/graphql -H 'Authorization: Bearer ${token}' -H 'Content-Type: application/json' -d '${body}'`;
}

/** On any other address, what is printed might be read by more people than the one who starts it. */
function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
