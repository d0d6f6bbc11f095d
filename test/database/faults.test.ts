// What a database error means, in each of the shapes that reach us.
import { DriverAdapterError } from '@prisma/driver-adapter-utils';
import { describe, expect, test } from 'vitest';
import { databaseFault, markUnreachable } from '../../src/database/faults.ts';

/** As Prisma's adapter throws it out of a transaction, without the client's own error around it. */
function adapterError(originalCode: string): Error {
  const cause = { kind: 'postgres', code: originalCode, severity: 'FATAL', message: 'said', originalCode } as const;
  return new DriverAdapterError({ ...cause, detail: undefined, column: undefined, hint: undefined });
}

describe('an error of the database', () => {
  test.each([
    ['08006', 'unreachable'],
    ['08P01', 'unreachable'],
    ['25006', 'read-only'],
    ['25P03', 'busy'],
    ['25P04', 'busy'],
    ['28000', 'unreachable'],
    ['28P01', 'unreachable'],
    ['3D000', 'unreachable'],
    ['40001', 'busy'],
    ['40P01', 'busy'],
    ['53100', 'busy'],
    ['53300', 'busy'],
    ['55000', 'busy'],
    ['55P03', 'busy'],
    ['57014', 'timeout'],
    ['57P01', 'unreachable'],
    ['57P03', 'unreachable'],
    ['58030', 'busy'],
    ['23505', null],
    ['40002', null],
    ['42501', null],
    ['54001', null],
    ['P0001', null],
    ['XX000', null],
  ] as const)('with SQLSTATE %s is %s, from the driver, the adapter and the client', (state, fault) => {
    const fromDriver = Object.assign(new Error('said'), { code: state });
    const fromAdapter = adapterError(state);
    const fromClient = Object.assign(new Error('said'), { code: 'P2010', meta: { driverAdapterError: fromAdapter } });
    for (const error of [fromDriver, fromAdapter, fromClient]) {
      expect(databaseFault(error)).toBe(fault);
      expect(databaseFault(new Error('around it', { cause: error }))).toBe(fault);
    }
  });

  test.each([
    ['P1001', 'unreachable'],
    ['P1010', 'unreachable'],
    ['P1011', 'unreachable'],
    ['P1017', 'unreachable'],
    ['P2024', 'busy'],
    ['P2028', 'busy'],
    ['P2034', 'busy'],
    ['P2037', 'busy'],
    ['ECONNREFUSED', 'unreachable'],
    ['ENETUNREACH', 'unreachable'],
    ['EAI_AGAIN', 'unreachable'],
    ['P2002', null],
    ['P2025', null],
    ['ERR_INVALID_ARG_TYPE', null],
  ] as const)('with the code %s of Prisma or Node is %s', (code, fault) => {
    expect(databaseFault(Object.assign(new Error('said'), { code }))).toBe(fault);
  });

  test.each([
    ['timeout exceeded when trying to connect', 'busy'],
    ['timeout expired', 'unreachable'],
    ['Connection terminated unexpectedly', 'unreachable'],
    ['Client was closed and is not queryable', 'unreachable'],
    ['database is not accepting commands that assign new transaction IDs', 'read-only'],
  ] as const)('that says “%s” is %s', (message, fault) => {
    expect(databaseFault(new Error(message))).toBe(fault);
  });

  test('is one of reaching it where it came while connecting, whatever it was', () => {
    expect(databaseFault(new Error('a certificate that has expired'))).toBeNull();
    expect(databaseFault(markUnreachable(new Error('a certificate that has expired')))).toBe('unreachable');
  });

  test('is none where an error only looks like one', () => {
    expect(databaseFault(new Error('57P01'))).toBeNull();
    expect(databaseFault({ code: '57P01' })).toBeNull();
    expect(databaseFault(undefined)).toBeNull();
  });
});
