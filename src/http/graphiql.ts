/**
 * GraphiQL at `GET /graphql`, served whole by the gateway: Yoga's own page loads its script from another host. In front
 * of it stands a field for the token, which is kept in the page alone unless the reader asks for more.
 */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Answer, Exchange } from './exchange.ts';

interface Page {
  readonly gzipped: Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

/** Nine megabytes of script: made on first use, then kept. */
let page: Promise<Page> | null = null;

/** A browser that was pointed here, as against a program that queries by GET. */
export function wantsPage({ method, request: { headers } }: Exchange): boolean {
  const isRead = method === 'GET' || method === 'HEAD';
  return isRead && headers.authorization === undefined && (headers.accept ?? '').includes('text/html');
}

export async function graphiqlPage({ request: { headers }, record, held }: Exchange): Promise<Answer> {
  record.operation = 'GraphiQL';
  page ??= render();
  const { gzipped, headers: own } = await page;
  if (headers['if-none-match'] === own['etag']) return { status: 304, headers: own, body: null };
  // All answers share it, but a connection that does not take it is one too many.
  const refusal = held.take(gzipped.length);
  if (refusal !== null) throw refusal;
  return {
    status: 200,
    headers: { ...own, 'content-type': 'text/html; charset=utf-8', 'content-encoding': 'gzip' },
    body: gzipped,
  };
}

async function render(): Promise<Page> {
  const { renderGraphiQL } = await import('@graphql-yoga/render-graphiql');
  const html = renderGraphiQL({
    title: 'Gatehouse GraphiQL',
    defaultQuery: DEFAULT_QUERY,
    isHeadersEditorEnabled: true,
    shouldPersistHeaders: false,
  })
    .replace('<body id="body" class="no-focus-outline">', (body) => `${body}${TOKEN_BAR}`)
    .replace('</head>', () => `<style>${STYLE}</style><script>${TOKEN_SCRIPT}</script></head>`);
  return {
    gzipped: await promisify(gzip)(html),
    headers: {
      'cache-control': 'no-cache',
      // Weak: of the page as it is, and as it is compressed.
      etag: `W/"${createHash('sha256').update(html).digest('base64url').slice(0, 22)}"`,
      'content-security-policy': policy(html),
      'referrer-policy': 'no-referrer',
      'x-frame-options': 'DENY',
    },
  };
}

/** Nothing from any other host, and no script but the ones that are in the page. */
function policy(html: string): string {
  const scripts = [...html.matchAll(/<script>([\s\S]*?)<\/script>/g)].map(
    ([, script = '']) => `'sha256-${createHash('sha256').update(script).digest('base64')}'`,
  );
  return [
    "default-src 'none'",
    // The editor's language workers are blobs that the page makes.
    `script-src ${scripts.join(' ')} blob:`,
    'worker-src blob:',
    "style-src 'unsafe-inline'",
    'font-src data:',
    'img-src data: blob:',
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

const DEFAULT_QUERY = `# Give your token above, then press play.
query FirstMembers {
  me {
    name
    networkId
    scopes
  }
  members(first: 5) {
    nodes {
      id
      name
      role
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}
`;

const STYLE = `
  body { display: flex; flex-direction: column; height: 100vh; margin: 0; }
  #gatehouse { display: flex; flex-wrap: wrap; gap: 8px 12px; align-items: center; padding: 8px 16px;
    font: 14px/1.2 system-ui, sans-serif; background: #1f2a44; color: #fff; }
  #gatehouse b { margin-right: 4px; }
  #gatehouse input[type=password] { flex: 1; min-width: 160px; max-width: 560px; padding: 6px 8px; border: 0;
    border-radius: 4px; font: 13px ui-monospace, monospace; }
  #gatehouse button { padding: 6px 12px; border: 0; border-radius: 4px; font: inherit; cursor: pointer; }
  #gatehouse label { display: flex; gap: 4px; align-items: center; }
  #root { flex: 1; min-height: 0; height: auto !important; }
  #root .graphiql-container { height: 100%; }
`;

const TOKEN_BAR = `<form id="gatehouse" autocomplete="off"><b>Gatehouse</b>
  <label for="token">API token</label><input id="token" type="password" placeholder="gk_live_…" autocomplete="off">
  <button>Use token</button>
  <label><input id="remember" type="checkbox"> Remember in this browser</label>
  <span id="state" role="status">No token yet</span></form>`;

// Requests to the schema wait until there is a token, so the page's own introspection runs as soon as one is given.
const TOKEN_SCRIPT = `
(() => {
  const KEY = 'gatehouse.token';
  const plainFetch = window.fetch.bind(window);
  let token = localStorage.getItem(KEY) ?? '';
  let waiting = [];
  window.fetch = async (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : String(input), location.href);
    if (url.origin !== location.origin || url.pathname !== location.pathname) return plainFetch(input, init);
    const headers = new Headers(init.headers);
    if (!headers.has('authorization')) {
      if (token === '') await new Promise((go) => waiting.push(go));
      headers.set('authorization', 'Bearer ' + token);
    }
    return plainFetch(input, { ...init, headers });
  };
  document.addEventListener('DOMContentLoaded', () => {
    const field = document.getElementById('token');
    const remember = document.getElementById('remember');
    const state = document.getElementById('state');
    const say = () => { state.textContent = token === '' ? 'No token yet' : 'Using …' + token.slice(-4); };
    const keep = () => {
      if (remember.checked && token !== '') localStorage.setItem(KEY, token);
      else localStorage.removeItem(KEY);
    };
    field.value = token;
    remember.checked = token !== '';
    say();
    remember.addEventListener('change', keep);
    document.getElementById('gatehouse').addEventListener('submit', (event) => {
      event.preventDefault();
      token = field.value.trim();
      keep();
      say();
      if (token === '') return;
      // The schema that was asked for under another token may have been refused: GraphiQL asks once and not again.
      if (waiting.length === 0) document.querySelector('[aria-label^="Re-fetch GraphQL schema"]')?.click();
      for (const go of waiting) go();
      waiting = [];
    });
  });
})();
`;
