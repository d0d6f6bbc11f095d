import { describe, expect, test } from 'vitest';
import { gatehouse, gatehouseJson, makeNetworkByCommand, newSlug } from './command-line.ts';

describe('network', () => {
  test('create prints its id, slug, name and plan', async () => {
    const slug = newSlug();
    const made = await gatehouseJson(['network', 'create', '--slug', slug, '--name', 'Åcme 会', '--plan', 'premium']);
    expect(made).toEqual({ id: expect.stringMatching(/^net_[0-9a-z]{26}$/), slug, name: 'Åcme 会', plan: 'PREMIUM' });
    const again = await gatehouseJson(['network', 'create', '--slug', slug, '--name', 'x'], { code: 1 });
    expect(again).toMatchObject({ errors: [{ code: 'SLUG_TAKEN', field: ['slug'] }] });
  });

  test('show, by slug and by id, with the numbers of its plan', async () => {
    const slug = newSlug();
    const numbers = ['--requests-per-minute', '7', '--cost-per-minute', '9'];
    const made = await gatehouseJson([
      'network',
      'create',
      '--slug',
      slug,
      '--name',
      'Custom',
      '--plan',
      'custom',
      ...numbers,
    ]);
    const { id } = made as { id: string };
    const expected = {
      id,
      plan: 'CUSTOM',
      requestsPerMinute: 7,
      networkRequestsPerMinute: 70,
      costPerMinute: 9,
      suspendedAt: null,
    };
    for (const reference of [[slug], [id], ['--network', slug]]) {
      expect(await gatehouseJson(['network', 'show', ...reference])).toMatchObject(expected);
    }
    expect((await gatehouse(['network', 'show', slug])).stdout).toContain('networkRequestsPerMinute  70\n');
  });

  test('list: a table, or an array', async () => {
    const slug = await makeNetworkByCommand();
    const all = (await gatehouseJson(['network', 'list'])) as { slug: string }[];
    expect(all.map((network) => network.slug)).toContain(slug);
    const lines = (await gatehouse(['network', 'list'])).stdout.split('\n');
    expect(lines[0]).toMatch(/^ID +SLUG +NAME +PLAN +STATUS$/);
    expect(lines.find((line) => line.includes(slug))).toMatch(/By command +STANDARD +ACTIVE$/);
  });

  test('update changes what is named', async () => {
    const slug = await makeNetworkByCommand();
    const changed = await gatehouseJson(['network', 'update', slug, '--slug', `${slug}-x`, '--plan', 'premium']);
    expect(changed).toMatchObject({ slug: `${slug}-x`, name: 'By command', plan: 'PREMIUM', requestsPerMinute: 300 });
    expect(await gatehouse(['network', 'update', `${slug}-x`])).toMatchObject({ code: 2 });
    expect(await gatehouseJson(['network', 'update', `${slug}-x`, '--plan', 'custom'], { code: 1 })).toMatchObject({
      errors: [{ code: 'BLANK', field: ['requestsPerMinute'] }],
    });
  });

  test('suspend and resume', async () => {
    const slug = await makeNetworkByCommand();
    expect(await gatehouseJson(['network', 'suspend', slug])).toMatchObject({ slug, suspendedAt: expect.any(String) });
    expect(await gatehouseJson(['network', 'resume', slug])).toMatchObject({ slug, suspendedAt: null });
  });

  test('delete only with --yes where nobody can be asked', async () => {
    const slug = await makeNetworkByCommand();
    expect(await gatehouse(['network', 'delete', slug])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--yes'),
    });
    expect(await gatehouse(['network', 'delete', slug, '--json'])).toMatchObject({ code: 2, stdout: '' });
    expect(await gatehouseJson(['network', 'delete', slug, '--yes'])).toMatchObject({
      slug,
      deleted: true,
      members: 0,
    });
    expect(await gatehouse(['network', 'show', slug])).toMatchObject({ code: 1 });
  });
});
