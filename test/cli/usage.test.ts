import { describe, expect, test } from 'vitest';
import { TEST_SECRET } from '../support/gateway.ts';
import { runCommand } from '../support/program.ts';
import { gatehouse, gatehouseJson, makeNetworkByCommand } from './command-line.ts';

describe('wrong usage ends with 2, says what is wrong on standard error, and prints no document', () => {
  test.each([
    [[], 'Usage: gatehouse'],
    [['network'], 'Usage: gatehouse network'],
    [['nonsense'], "unknown command 'nonsense'"],
    [['network', 'crate'], 'Did you mean create?'],
    [['network', 'create', '--slug', 'x'], "required option '--name <name>' not specified"],
    [['network', 'create', '--slug', 'x', '--name', 'x', '--plan', 'gold'], 'It is one of standard, premium, custom.'],
    [
      ['network', 'create', '--slug', 'x', '--name', 'x', '--plan', 'custom'],
      '--plan custom needs --requests-per-minute',
    ],
    [['network', 'create', '--slug', 'x', '--name', 'x', '--requests-per-minute', '1.5'], 'It must be a whole number.'],
    [['network', 'show'], 'say which network'],
    [['network', 'delete', 'x', 'y'], 'too many arguments'],
    [
      ['admin', 'create', '--network', 'x', '--email', 'a@x', '--name', 'A', '--role', 'king'],
      'It is one of owner, admin.',
    ],
    [['admin', 'remove', '--network', 'x'], 'say which admin'],
    [['key', 'create', '--network', 'x', '--name', 'x'], "required option '--scope <scope>' not specified"],
    [['key', 'create', '--network', 'x', '--name', 'x', '--scope', 'all'], 'The scopes are members:read'],
    [
      ['key', 'create', '--network', 'x', '--name', 'x', '--scope', 'members:read', '--expires-in', '90'],
      'such as 90d or 12h',
    ],
    [
      ['key', 'create', '--network', 'x', '--name', 'x', '--scope', 'members:read', '--expires-at', '2027-02-30'],
      'must be a day and time that exist',
    ],
    [
      [
        'key',
        'create',
        '--network',
        'x',
        '--name',
        'x',
        '--scope',
        'members:read',
        '--expires-at',
        '2027-01-01',
        '--expires-in',
        '1d',
      ],
      'cannot be used with',
    ],
    [['key', 'list'], "required option '--network <network>' not specified"],
    [['member', 'import', '--network', 'x'], "missing required argument 'file'"],
    [['member', 'export', '--network', 'x', '--format', 'xml'], 'Allowed choices are jsonl, csv.'],
    [['member', 'export', '--network', 'x', '--format', 'csv', '--json'], 'do not go together'],
  ])('%j', async (args, message) => {
    const answer = await gatehouse(args);
    expect(answer).toMatchObject({ code: 2, stdout: '' });
    expect(answer.stderr).toContain(message);
  });

  test('settings at fault, all of them, never their values', async () => {
    const settings = { DATABASE_URL: 'mysql://user:password@host/x', PORT: 'many', GATEHOUSE_FOO: '1' };
    const answer = await runCommand(['network', 'list', '--json'], settings);
    expect(answer).toMatchObject({ code: 2, stdout: '' });
    for (const name of ['DATABASE_URL', 'PORT', 'GATEHOUSE_FOO']) expect(answer.stderr).toContain(name);
    expect(answer.stderr).not.toContain('password');
  });
});

describe('help ends with 0, on standard output', () => {
  test.each([
    [['--help'], 'A network from nothing to its first key'],
    [['help', 'member'], 'Usage: gatehouse member'],
    [['member', 'import', '--help'], '(\\; is a semicolon in a tag)'],
    [['key', 'create', '--help'], '--expires-in <time>'],
  ])('%j', async (args, message) => {
    const answer = await gatehouse(args);
    expect(answer).toMatchObject({ code: 0, stderr: '' });
    expect(answer.stdout).toContain(message);
  });
});

describe('what is refused or fails ends with 1', () => {
  test('for people on standard error; with --json as one document on standard output, too', async () => {
    expect(await gatehouse(['network', 'show', 'no-such-network'])).toEqual({
      code: 1,
      stdout: '',
      stderr: 'error: There is no network no-such-network\n',
    });
    expect(await gatehouse(['network', 'show', 'no-such-network', '--json'])).toEqual({
      code: 1,
      stdout: '{"errors":[{"code":"NOT_FOUND","message":"There is no network no-such-network","field":["network"]}]}\n',
      stderr: 'error: There is no network no-such-network\n',
    });
  });

  test('--json may stand anywhere', async () => {
    const slug = await makeNetworkByCommand();
    for (const args of [
      ['--json', 'network', 'show', slug],
      ['network', '--json', 'show', slug],
    ]) {
      expect(JSON.parse((await gatehouse(args)).stdout)).toMatchObject({ slug });
    }
    expect(await gatehouseJson(['network', 'show', slug])).toMatchObject({ slug });
  });

  test('a database out of reach is one sentence, without its password', async () => {
    const settings = { DATABASE_URL: 'postgres://user:password@127.0.0.1:9/x', GATEHOUSE_SECRETS: TEST_SECRET };
    const answer = await runCommand(['network', 'list', '--json'], settings);
    expect(answer.code).toBe(1);
    expect(JSON.parse(answer.stdout)).toMatchObject({ errors: [{ code: 'SERVICE_UNAVAILABLE' }] });
    expect(answer.stderr).toMatch(/^error: The database of DATABASE_URL is out of reach.*\n$/);
    expect(answer.stdout + answer.stderr).not.toContain('password');
  });

  test('control characters do not reach the terminal', async () => {
    const answer = await gatehouse(['network', 'show', 'a\u001b[31mb\u0007']);
    expect(answer.stderr).toBe('error: There is no network ab\n');
  });
});
