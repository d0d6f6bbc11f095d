// Redaction looks through the encodings into which a client may have put a secret.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { redactCounting, redactLine, shownUserAgent } from '../../src/domain/redaction.ts';
import { digestOf, mintToken } from '../../src/domain/token.ts';

type Encode = (text: string) => string;

const hexOf = (text: string) => Buffer.from(text).toString('hex');
const base64: Encode = (text) => Buffer.from(text).toString('base64');
const each =
  (write: (character: string) => string, which = /[\s\S]/gu): Encode =>
  (text) =>
    text.replaceAll(which, write);
const bytes = (prefix: string) => each((character) => hexOf(character).replaceAll(/../g, (byte) => prefix + byte));
const SIGNS = /[^0-9A-Za-z]/gu;
const code = (character: string) => (character.codePointAt(0) ?? 0).toString(16);

/** Each by a name, for the report of a counterexample. */
const ENCODINGS: Readonly<Record<string, Encode>> = {
  'percent-encoding': encodeURIComponent,
  'percent-encoding of all': bytes('%'),
  'percent-encoding in upper case': each(
    (sign) =>
      `%${hexOf(sign)
        .toUpperCase()
        .replaceAll(/..(?=.)/g, '$&%')}`,
    SIGNS,
  ),
  base64,
  'base64 without padding': (text) => base64(text).replaceAll('=', ''),
  base64url: (text) => Buffer.from(text).toString('base64url'),
  'base64 behind other letters': (text) => `Zx/${base64(text)}`,
  'base64 in the middle of more': (text) => base64(`user:${text}:more of it`),
  'Basic credentials': (text) => `Basic ${base64(`ci:${text}`)}`,
  'base64 of UTF-16': (text) => Buffer.from(text, 'utf16le').toString('base64'),
  hexadecimal: hexOf,
  'hexadecimal in upper case': (text) => hexOf(text).toUpperCase(),
  'decimal HTML entities': each((sign) => `&#${sign.codePointAt(0)};`, SIGNS),
  'hexadecimal HTML entities': each((character) => `&#x${code(character)};`),
  'JSON escapes': each((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`, /[^0-9A-Za-z]/g),
  'escapes of bytes': bytes('\\x'),
  'quoted-printable': bytes('='),
  'JSON text': (text) => JSON.stringify(text).slice(1, -1),
  'zero-width characters': (text) => [...text].join('\u200b'),
  'soft hyphens': (text) => text.replaceAll(/.{3}/gu, '$&\u00ad'),
  'full-width characters': each((sign) => String.fromCharCode(sign.charCodeAt(0) + 0xfee0), /[!-~]/g),
};
const NAMES = Object.keys(ENCODINGS);
const encode = (names: readonly string[], text: string) =>
  names.reduce((encoded, name) => ENCODINGS[name]?.(encoded) ?? encoded, text);

const chain = fc.array(fc.constantFrom(...NAMES), { maxLength: 2 });
const word = fc.stringMatching(/^[a-z0-9]{2,12}$/);
const address = fc
  .tuple(fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9.+_-]{1,15}$/), word, fc.constantFrom('org', 'co.uk', 'test'))
  .map(([local, domain, end]) => `${local}@${domain}.${end}`);
const token = fc.constantFrom('LIVE', 'TEST').map((environment) => mintToken(environment as 'LIVE' | 'TEST'));
const around = fc.constantFrom(['', ''], ['Mozilla/5.0 (contact ', ')'], ['curl/8.5.0 ', ' x'], ['a=', '&b=1']);
const secret = fc.oneof(address, token);

describe('no chain of two encodings', () => {
  test('brings a token or an address into the log, or into what is kept of a User-Agent', () => {
    const property = fc.property(secret, chain, around, (text, names, [before = '', after = '']) => {
      const encoded = encode(names, text);
      const sent = `${before}${encoded}${after}`;
      const lines = [redactLine(sent), redactLine(JSON.stringify({ userAgent: sent })), shownUserAgent(sent) ?? ''];
      for (const line of lines) {
        expect(line).not.toContain(encoded);
        // Nor the middle of it, by which it could be told.
        expect(line).not.toContain(encoded.slice(encoded.length / 4, (encoded.length * 3) / 4));
        expect(line).toContain('[redacted]');
      }
      expect(() => JSON.parse(lines[1] ?? '')).not.toThrow();
    });
    fc.assert(property, { numRuns: 3_000 });
  });

  test.for(NAMES)('of which one is %s', (name) => {
    for (const other of NAMES) {
      for (const text of ['ada.lovelace@example.org', mintToken('LIVE')]) {
        const encoded = encode([name, other], text);
        const line = redactLine(JSON.stringify({ a: encoded }));
        expect({ other, line }).toEqual({ other, line: expect.stringContaining('[redacted]') });
        expect(line).not.toContain(encoded);
      }
    }
  });
});

describe('a line is rid of', () => {
  const TOKEN = mintToken('LIVE');
  test.for<readonly [what: string, text: string]>([
    ['an address in percent-encoding', 'app ada%40example.org'],
    ['an address in percent-encoding twice', 'app ada%2540example.org'],
    ['one of another script', `app ${encodeURIComponent('संपर्क@डाटामेल.भारत')}`],
    ['one with a quoted local part', base64('"quoted local"@example.org')],
    ['one without dots in its domain', base64('ada@localhost')],
    ['one with a full-width sign', 'ada＠example.org'],
    ['one with an HTML name', 'ada&commat;example&period;org'],
    ['one that is spelled out', 'ada (at) example [dot] org'],
    ['a token with another token’s name before it', `Basic ${base64(`x:${TOKEN}`)}`],
    ['a token that was folded', `${TOKEN.slice(0, 20)}\r\n ${TOKEN.slice(20)}`],
    ['a token in base64 that was folded', base64(`name:${TOKEN}`).replace(/^.{40}/, '$&\r\n\t')],
    ['a token that is cut off', base64(TOKEN).slice(0, 30)],
    ['a digest in hexadecimal', digestOf(TOKEN).toString('hex')],
    ['a digest in base64', digestOf(TOKEN).toString('base64')],
  ])('%s', ([, text]) => {
    expect(redactLine(text)).toContain('[redacted]');
    expect(redactLine(text)).not.toContain(text.slice(text.length / 3, (text.length * 2) / 3));
    expect(redactLine(JSON.stringify({ text }))).toContain('[redacted]');
  });

  test('a digest in base64url, whatever it is', () => {
    const property = fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (digest) => {
      const text = Buffer.from(digestOf(Buffer.from(digest).toString('hex'))).toString('base64url');
      expect(redactLine(`etag ${text};`)).toBe('etag [redacted];');
    });
    // One in 8,000 has letters alone.
    fc.assert(property, { numRuns: 20_000 });
  });
});

test('a header is read as the UTF-8 that was sent, not as the bytes that Node makes of it', () => {
  const received = (text: string) => Buffer.from(text).toString('latin1');
  for (const address of ['ada＠example.org', 'संपर्क@डाटामेल.भारत']) {
    expect(shownUserAgent(received(`app/1 ${address}`))).toBe('app/1 [redacted]');
    expect(shownUserAgent(received(received(`app/1 ${address}`)))).toBe('app/1 [redacted]');
  }
  expect(shownUserAgent(received('会員同期ツール/2.3.1'))).toBe('会員同期ツール/2.3.1');
});

describe('what is no secret stays as it is', () => {
  test.for([
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36 Edg/129.0.2792.79',
    'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4.1 Safari/605.1.15',
    'Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0',
    'Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [FBAN/FBIOS;FBAV/480.0.0.41.109;FBBV/648834534;FBDV/iPhone15,3;FBMD/iPhone;FBSN/iOS;FBSV/17.6.1;FBSS/3;FBID/phone;FBLC/en_US;FBOP/5]',
    'Mozilla/5.0 (Linux; Android 14; SM-S918B Build/UP1A.231005.007; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/128.0.6613.146 Mobile Safari/537.36 Instagram 347.0.0.39.106 Android',
    'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)',
    'Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)',
    'facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)',
    'Apollo Client/3.11.8 (apollo-ios; iOS 17.6; build 20G95) Alamofire/5.9.1',
    'apollographql-client-name/web-console urql/4.1.0',
    'curl/8.5.0',
    'Wget/1.21.4',
    'python-requests/2.32.3',
    'Python/3.12 aiohttp/3.10.5',
    'python-httpx/0.27.2',
    'Go-http-client/2.0',
    'okhttp/4.12.0',
    'Java/21.0.4',
    'Apache-HttpClient/5.3.1 (Java/17.0.12)',
    'axios/1.7.7',
    'node-fetch/1.0 (+https://github.com/bitinn/node-fetch)',
    'undici',
    'PostmanRuntime/7.42.0',
    'insomnia/10.0.0',
    'GuzzleHttp/7 PHP/8.3.11',
    'Ruby Faraday v2.12.0',
    'Dart/3.5 (dart:io)',
    'CFNetwork/1568.100.1 Darwin/24.0.0',
    'kube-probe/1.30',
    'ELB-HealthChecker/2.0',
    'Datadog Agent/7.57.0',
    'Zapier',
    'Make/production',
    'n8n-workflow/1.62.1 (self-hosted; instance=0e1f2a3b4c5d6e7f8091a2b3c4d5e6f7)',
    'GitHub-Hookshot/044aadd',
    'SEGMENT/Warehouse width=1080 scale=2.00 dpi=480',
    'Приложение/1.0 (версия 2)',
    '会員同期ツール/2.3.1',
  ])('%s', (userAgent) => {
    expect(shownUserAgent(userAgent)).toBe(userAgent.slice(0, 256));
  });

  test('ids of every kind, random ones of others, times and paths', () => {
    const id = fc.oneof(
      fc.uuid(),
      fc.stringMatching(/^req_[0-9a-f]{32}$/),
      fc.stringMatching(/^key_0[0-9a-hjkmnp-tv-z]{25}$/),
      fc.stringMatching(/^[0-9a-f]{32}$/),
      fc.stringMatching(/^[A-Za-z0-9]{22}$/),
      fc.date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true }).map((date) => date.toISOString()),
    );
    // One seed: that chance brings an address into a random text is as good as out of the question, and not quite.
    fc.assert(
      fc.property(id, (text) => {
        expect(redactLine(`id=${text};`)).toBe(`id=${text};`);
      }),
      { numRuns: 5_000, seed: 1 },
    );
  });
});

describe('a line like one before it', () => {
  const id = (prefix: string, digit: number) => `${prefix}_0${String(digit % 8).repeat(25)}`;
  const line = (requestId: string, at: number, agent = 'curl/8.5.0') =>
    `{"level":"info","time":"2026-11-29T10:00:0${at % 10}.00${at % 10}Z","requestId":"${requestId}","networkId":"${id('net', at)}","keyId":"${id('key', at)}","userAgent":"${agent}","points":1,"ms":${at}.5}`;
  const request = (at: number) => `req_${String(at % 10).repeat(32)}`;

  test('stays as it is, whatever request it is of', () => {
    for (let at = 0; at < 20; at += 1) expect(redactLine(line(request(at), at))).toBe(line(request(at), at));
  });

  test.for([
    mintToken('LIVE'),
    'ada@example.org',
    encodeURIComponent('ada@example.org'),
    base64(mintToken('LIVE')),
    hexOf('ada@example.org'),
  ])('is rid of a secret wherever it stands: %s', (text) => {
    for (const tainted of [
      line(text, 1),
      line(request(1), 1, text),
      line(request(1), 1).replace('"ms":1', `"ms":"${text}"`),
      line(request(1), 1).replace('"time":"', `"time":"${text}`),
    ]) {
      // Also the second time.
      for (let seen = 0; seen < 2; seen += 1) {
        expect(redactLine(tainted)).not.toContain(text);
        expect(redactLine(tainted)).toContain('[redacted]');
      }
    }
  });
});

test('the work of a line is bounded, and what was not looked at is not shown', () => {
  const long = 1_000;
  const nested = (times: number): string => (times === 0 ? 'a'.repeat(long) : base64(nested(times - 1)));
  for (const line of [
    '%'.repeat(long),
    '%25'.repeat(long),
    'QUFB'.repeat(long),
    'Ab1/'.repeat(long),
    '4a'.repeat(long),
    'a@'.repeat(long),
    'a=40'.repeat(long),
    '\\u0040'.repeat(long),
    '＠'.repeat(long),
    '(at)'.repeat(long),
    'x \n'.repeat(long),
    nested(1),
    nested(4),
    Array.from({ length: 200 }, (_, index) => base64(base64(`${index}`.padStart(30, 'x')))).join(' '),
  ]) {
    const { looked } = redactCounting(line);
    expect(looked).toBeLessThanOrEqual(Math.max(4_096, line.length * 64) * 2);
  }
});
