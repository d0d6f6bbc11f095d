import { describe, expect, test } from 'vitest';
import { readBearer } from '../../src/access/bearer.ts';
import { mintToken } from '../../src/domain/token.ts';

const token = mintToken('LIVE');

describe('the Authorization header', () => {
  test.for([
    ['Bearer, a blank and the token', `Bearer ${token}`],
    ['the scheme in any case', `bEARER ${token}`],
    ['several blanks', `Bearer   ${token}  `],
  ])('is read: %s', ([, header]) => {
    expect(readBearer(header)).toEqual({ status: 'token', token });
  });

  test.for([
    ['none', undefined],
    ['empty', ''],
    ['blanks', '   '],
  ])('is missing: %s', ([, header]) => {
    expect(readBearer(header)).toEqual({ status: 'missing' });
  });

  test.for([
    ['the token alone', token],
    ['the scheme alone', 'Bearer'],
    ['no blank', `Bearer${token}`],
    ['another scheme', `Token ${token}`],
    ['a scheme before it', `Basic Bearer ${token}`],
    ['two tokens', `Bearer ${token} ${token}`],
    ['a list', `Bearer ${token}, Bearer ${token}`],
    ['quotes', `Bearer "${token}"`],
    ['a line break', `Bearer ${token}\n`],
    ['a tab', `Bearer\t${token}`],
    ['another kind of token', 'Bearer eyJhbGciOiJIUzI1NiJ9.e30.x'],
    ['a very long one', `Bearer ${'x'.repeat(100_000)}`],
    ['blanks without end', `Bearer ${' '.repeat(100_000)}x y`],
  ])('is malformed: %s', ([, header]) => {
    expect(readBearer(header)).toEqual({ status: 'malformed' });
  });
});
