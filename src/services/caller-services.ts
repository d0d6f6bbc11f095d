/** The writes that one caller may ask for, bound to that caller and network: whoever holds them can't name another. */
import type { Database } from '../database/database.ts';
import type { Idempotency } from '../domain/idempotency.ts';
import type { KeyActor, Origin, Source } from './actor.ts';
import { type CreateApiKeyInput, createApiKeyOnce } from './api-keys/create.ts';
import { type DeletedApiKey, deleteApiKey } from './api-keys/delete.ts';
import {
  type RevokedApiKey,
  type RevokedApiKeys,
  type RevokeOptions,
  revokeApiKey,
  revokeApiKeys,
  revokeCurrentApiKey,
  type WhichKeys,
} from './api-keys/revoke.ts';
import { endOverlap, rotateApiKeyOnce } from './api-keys/rotate.ts';
import type { ToldApiKey } from './api-keys/told.ts';
import { type KeyChanges, type UpdatedApiKey, updateApiKey } from './api-keys/update.ts';
import { type DeletedMembers, deleteMembers } from './members/delete.ts';
import { endEpoch } from './members/end-epoch.ts';
import { NO_SUCH_MEMBER, type UpdatedMember, updateMember } from './members/update.ts';
import { type TypedMember, type UpsertedMembers, upsertMembers } from './members/upsert.ts';

export type { FoundKey, WhichKeys } from './api-keys/revoke.ts';
export type { TypedMember, UpsertedMember } from './members/upsert.ts';

/** Ids are UUIDs. */
export class CallerServices {
  readonly #database: Database;
  readonly #origin: Origin;
  readonly #idempotency: Idempotency | null;
  readonly #networkId: string;
  #writes = 0;
  /** The numbers of those that had been done before. */
  readonly #replayed = new Set<number>();

  /** `idempotency`: where the request may be sent again. */
  constructor(database: Database, actor: KeyActor, source: Source, idempotency: Idempotency | null = null) {
    this.#database = database;
    this.#origin = { ...source, actor };
    this.#idempotency = idempotency;
    this.#networkId = actor.principal.networkId;
  }

  /** Whether an earlier request had done all that this one was to write; null where it wrote nothing. */
  get areReplayed(): boolean | null {
    return this.#writes === 0 ? null : this.#replayed.size === this.#writes;
  }

  createApiKey(input: Omit<CreateApiKeyInput, 'adminId'>): Promise<ToldApiKey> {
    return createApiKeyOnce(this.#database, this.#nextOrigin(), this.#networkId, input);
  }

  updateApiKey(keyId: string, changes: KeyChanges): Promise<UpdatedApiKey> {
    return updateApiKey(this.#database, this.#nextOrigin(), this.#networkId, keyId, changes);
  }

  rotateApiKey(keyId: string, overlapSeconds: number): Promise<ToldApiKey> {
    return rotateApiKeyOnce(this.#database, this.#nextOrigin(), this.#networkId, keyId, overlapSeconds);
  }

  endApiKeyOverlap(keyId: string): Promise<UpdatedApiKey> {
    return endOverlap(this.#database, this.#nextOrigin(), this.#networkId, keyId);
  }

  revokeApiKey(keyId: string, options: RevokeOptions): Promise<RevokedApiKey> {
    return revokeApiKey(this.#database, this.#nextOrigin(), this.#networkId, keyId, options);
  }

  revokeApiKeys(which: WhichKeys, options: RevokeOptions): Promise<RevokedApiKeys> {
    return revokeApiKeys(this.#database, this.#nextOrigin(), this.#networkId, which, options);
  }

  revokeCurrentApiKey(options: Pick<RevokeOptions, 'reason'>): Promise<RevokedApiKey> {
    return revokeCurrentApiKey(this.#database, this.#nextOrigin(), options);
  }

  deleteApiKey(keyId: string): Promise<DeletedApiKey> {
    return deleteApiKey(this.#database, this.#nextOrigin(), this.#networkId, keyId);
  }

  upsertMembers(members: readonly TypedMember[]): Promise<UpsertedMembers> {
    return upsertMembers(this.#database, this.#nextOrigin(), this.#networkId, members);
  }

  /** `id`: null where what was given is none. */
  async updateMember(id: string | null, member: TypedMember): Promise<UpdatedMember> {
    if (id === null) return NO_SUCH_MEMBER;
    return updateMember(this.#database, this.#nextOrigin(), this.#networkId, id, member);
  }

  deleteMembers(ids: readonly string[]): Promise<DeletedMembers> {
    return deleteMembers(this.#database, this.#nextOrigin(), this.#networkId, ids);
  }

  /** For a position of the network's own feed alone, which was given out in this epoch. */
  endFeedEpoch(epoch: string, position: number): Promise<void> {
    return endEpoch(this.#database, this.#networkId, epoch, position);
  }

  /** An operation's writes come one after the other, in the same order whenever it is sent: a number tells them apart. */
  #nextOrigin(): Origin {
    const ordinal = this.#writes;
    this.#writes += 1;
    if (this.#idempotency === null) return this.#origin;
    const onReplayed = () => void this.#replayed.add(ordinal);
    return { ...this.#origin, idempotency: { ...this.#idempotency, ordinal, onReplayed } };
  }
}
