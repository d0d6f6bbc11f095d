// What a database error means, in each of the shapes that reach us.
import { DriverAdapterError } from '@prisma/driver-adapter-utils';
import { describe, expect, test } from 'vitest';
import { databaseFault } from '../../src/database/faults.ts';

/** As Prisma's adapter throws it out of a transaction, without the client's own error around it. */
function adapterError(originalCode: string): Error {
  const cause = { kind: 'postgres', code: originalCode, severity: 'FATAL', message: 'said', originalCode } as const;
  return new DriverAdapterError({ ...cause, detail: undefined, column: undefined, hint: undefined });
}

describe('an error of the database', () => {
  test.each([
    ['57P01', 'unreachable'],
    ['57P03', 'unreachable'],
    ['08006', 'unreachable'],
    ['53300', 'unreachable'],
    ['57014', 'timeout'],
    ['23505', null],
  ] as const)('with SQLSTATE %s is %s, from the driver, the adapter and the client', (state, fault) => {
    const fromDriver = Object.assign(new Error('said'), { code: state });
    const fromAdapter = adapterError(state);
    const fromClient = Object.assign(new Error('said'), { code: 'P2010', meta: { driverAdapterError: fromAdapter } });
    for (const error of [fromDriver, fromAdapter, fromClient]) {
      expect(databaseFault(error)).toBe(fault);
      expect(databaseFault(new Error('around it', { cause: error }))).toBe(fault);
    }
  });

  test('is none where an error only looks like one', () => {
    expect(databaseFault(new Error('57P01'))).toBeNull();
    expect(databaseFault({ code: '57P01' })).toBeNull();
    expect(databaseFault(undefined)).toBeNull();
  });
});
