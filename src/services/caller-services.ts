/** The writes that one caller may ask for, bound to that caller and network: whoever holds them can't name another. */
import type { Database } from '../database/database.ts';
import type { KeyInput } from '../domain/api-key.ts';
import type { Principal } from '../domain/verification.ts';
import type { Origin } from './actor.ts';
import { type CreatedApiKey, createApiKey } from './api-keys/create.ts';
import { type RevokedApiKey, revokeApiKey } from './api-keys/revoke.ts';

export class CallerServices {
  readonly #database: Database;
  readonly #origin: Origin;
  readonly #networkId: string;

  constructor(database: Database, principal: Principal, requestId: string) {
    this.#database = database;
    this.#origin = { actor: { kind: 'KEY', principal }, requestId };
    this.#networkId = principal.networkId;
  }

  createApiKey(input: KeyInput): Promise<CreatedApiKey> {
    return createApiKey(this.#database, this.#origin, this.#networkId, input);
  }

  /** `keyId`: a UUID. */
  revokeApiKey(keyId: string): Promise<RevokedApiKey> {
    return revokeApiKey(this.#database, this.#origin, this.#networkId, keyId);
  }
}
