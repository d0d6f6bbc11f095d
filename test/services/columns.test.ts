/** Which column is which field, by its name in the header. */
import { describe, expect, test } from 'vitest';
import { resolveColumns } from '../../src/services/members/resolve-columns.ts';

function fieldsOf(names: readonly string[], map: Record<string, string> = {}): (string | null)[] {
  const resolved = resolveColumns(names, new Map(Object.entries(map)));
  if ('fault' in resolved) throw new Error(resolved.fault);
  return resolved.targets.map((target) => ('name' in target ? target.name : null));
}

describe('the name of a column', () => {
  test.each([
    ['createdAt', 'created_at', 'Created At', 'CREATED-AT', 'created.at', ' createdat', 'Date Joined', 'member_since'],
    ['email', 'Email', 'E-mail', 'e_mail', 'Email Address', 'EMAIL_ADDRESS', 'Mail'],
    ['name', 'Name', 'Full Name', 'full_name', 'Display Name', 'displayName'],
    ['firstName', 'First Name', 'first_name', 'Given Name', 'FNAME'],
    ['lastName', 'Last Name', 'last-name', 'Surname', 'Family Name', 'LNAME'],
    ['externalId', 'external_id', 'External ID', 'External Identifier'],
    ['avatarUrl', 'avatar_url', 'Avatar URL', 'avatar_image', 'Photo URL'],
    ['timeZone', 'timezone', 'Time Zone', 'time_zone', 'TIMEZONE'],
    ['permalink', 'Permalink', 'Profile URL'],
    ['lastActiveAt', 'last_active_at', 'last_seen_at'],
    ['status', 'STATUS'],
    ['tags', 'Tags'],
  ])('%s is known as %s, %s and others', (field, ...names) => {
    for (const name of names) expect([name, fieldsOf([name.trim()])]).toEqual([name, [field]]);
  });

  test.each([
    'City',
    'Avatar',
    'Company',
    'id',
    'Phone Number',
    'username',
    'Membership Status',
    'updated_at',
    'Notes',
  ])('%s may mean anything, and is a custom field', (name) => {
    expect(fieldsOf([name])).toEqual([name]);
  });

  test('an exact name goes before another style, and that before a synonym', () => {
    expect(fieldsOf(['Email', 'email', 'Mail'])).toEqual(['Email', 'email', 'Mail']);
    expect(fieldsOf(['Email Address', 'E-mail'])).toEqual(['Email Address', 'email']);
    expect(fieldsOf(['Display Name', 'Name'])).toEqual(['Display Name', 'name']);
  });

  test('first and last names keep the names of their columns where there is one named name', () => {
    expect(fieldsOf(['name', 'First Name', 'lastName'])).toEqual(['name', 'First Name', 'lastName']);
    expect(fieldsOf(['Display Name', 'First Name'])).toEqual(['name', 'firstName']);
  });

  test('two columns that have an equal right to a field are refused, with what to do', () => {
    expect(() => fieldsOf(['Mail', 'name', 'Email Address'])).toThrow(
      'has 2 columns for email: "Mail", "Email Address". ' +
        'Choose one with --map "COLUMN=email", and leave the others out with --map "COLUMN="',
    );
    expect(() => fieldsOf(['E-mail', 'Email'])).toThrow('has 2 columns for email: "E-mail", "Email"');
    expect(() => fieldsOf(['Team', 'x', 'Team'])).toThrow('names the column of cell 3 twice');
  });
});

describe('a map', () => {
  test('decides before names do, whatever the style of the two sides', () => {
    expect(fieldsOf(['Mail', 'Email Address'], { Mail: 'email' })).toEqual(['email', 'Email Address']);
    expect(fieldsOf(['E-mail 1 - Value', 'City'], { 'e_mail 1 - value': 'email', City: 'location' })).toEqual([
      'email',
      'location',
    ]);
  });

  test('makes a custom field of another name, or leaves a column out', () => {
    expect(fieldsOf(['TIMEZONE', 'Notes'], { TIMEZONE: 'zone', Notes: '' })).toEqual(['zone', null]);
  });

  test('keeps a column under its own name where a guess is wrong', () => {
    expect(fieldsOf(['email', 'last_seen_at'], { last_seen_at: 'last_seen_at' })).toEqual(['email', 'last_seen_at']);
  });

  test('thousands of columns that all look alike are read at once', () => {
    const names = Array.from({ length: 20_000 }, (_, index) => `mail${'_'.repeat(index % 7)}${index}`);
    const map = new Map(names.slice(0, 50).map((name) => [`${name} `, 'x']));
    expect(resolveColumns([...names, 'email', 'm a i l', 'm-ail'], map)).toHaveProperty('fault');
    expect(resolveColumns([...names, 'email', 'm a i l', 'm-ail'], new Map())).toHaveProperty('targets');
  });

  test('cannot make a second field of a name', () => {
    expect(() => fieldsOf(['email', 'Work'], { Work: 'email' })).toThrow('has 2 columns for email: "Work", "email"');
    expect(fieldsOf(['email', 'Work'], { Work: 'email', email: '' })).toEqual([null, 'email']);
    expect(() => fieldsOf(['team', 'Group'], { Group: 'team' })).toThrow('names the field of cell 2 twice');
  });
});
