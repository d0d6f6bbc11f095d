/**
 * Who goes next: networks in turn, within a network its keys in turn, within a key first come, first served. However much
 * one of them has waiting, another waits behind at most one piece of work of each.
 */

/** On whose behalf work is done. UUIDs, or names of the gateway's own. */
export interface Caller {
  readonly networkId: string;
  readonly keyId: string;
}

export interface Waiting {
  readonly caller: Caller;
}

/** `pass`: this item stays, and the next of another key may go. `stop`: nothing of this network goes. `halt`: nothing at all. */
export type Verdict = 'go' | 'pass' | 'stop' | 'halt';

export class FairQueue<Item extends Waiting> {
  /** Networks, and in each its keys, in the order of their turns: who went last stands at the end. */
  readonly #networks = new Map<string, Map<string, Item[]>>();
  readonly #counts = new Map<string, number>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  ofNetwork({ networkId }: Caller): number {
    return this.#counts.get(networkId) ?? 0;
  }

  ofKey({ networkId, keyId }: Caller): number {
    return this.#networks.get(networkId)?.get(keyId)?.length ?? 0;
  }

  push(item: Item): void {
    const { networkId, keyId } = item.caller;
    const keys = this.#networks.get(networkId) ?? new Map<string, Item[]>();
    this.#networks.set(networkId, keys);
    const items = keys.get(keyId);
    if (items === undefined) keys.set(keyId, [item]);
    else items.push(item);
    this.#counts.set(networkId, this.ofNetwork(item.caller) + 1);
    this.#size += 1;
  }

  /** Whether it was there. */
  remove(item: Item): boolean {
    const items = this.#networks.get(item.caller.networkId)?.get(item.caller.keyId);
    const at = items?.indexOf(item) ?? -1;
    if (items === undefined || at < 0) return false;
    this.#takeOut(item, items, at);
    return true;
  }

  /**
   * The next item that may go, taken out; null where none may. `first`: a network, and within it a key, with a lower
   * number goes first, whoever's turn it is.
   */
  take(judge: (item: Item) => Verdict = goes, first: Priority<Item> | null = null): Item | null {
    for (const keys of inOrder(this.#networks, first?.ofNetwork, headOf)) {
      for (const items of inOrder(keys, first?.ofKey, firstOf)) {
        const [item] = items;
        if (item === undefined) continue;
        const verdict = judge(item);
        if (verdict === 'halt') return null;
        if (verdict === 'stop') break;
        if (verdict === 'pass') continue;
        this.#takeOut(item, items, 0);
        this.#toTheEnd(item.caller);
        return item;
      }
    }
    return null;
  }

  #takeOut({ caller }: Item, items: Item[], at: number): void {
    items.splice(at, 1);
    this.#size -= 1;
    const left = this.ofNetwork(caller) - 1;
    this.#counts.set(caller.networkId, left);
    if (items.length === 0) this.#networks.get(caller.networkId)?.delete(caller.keyId);
    if (left > 0) return;
    this.#counts.delete(caller.networkId);
    this.#networks.delete(caller.networkId);
  }

  #toTheEnd({ networkId, keyId }: Caller): void {
    const keys = this.#networks.get(networkId);
    if (keys === undefined) return;
    moveToEnd(this.#networks, networkId);
    moveToEnd(keys, keyId);
  }
}

export interface Priority<Item extends Waiting> {
  readonly ofNetwork: (item: Item) => number;
  readonly ofKey: (item: Item) => number;
}

function goes(): Verdict {
  return 'go';
}

function headOf<Item>(keys: ReadonlyMap<string, readonly Item[]>): Item | undefined {
  for (const [head] of keys.values()) return head;
  return undefined;
}

function firstOf<Item>([head]: readonly Item[]): Item | undefined {
  return head;
}

/** Of equals, whose turn it is. */
function inOrder<Group, Item>(
  groups: ReadonlyMap<string, Group>,
  numberOf: ((item: Item) => number) | undefined,
  head: (group: Group) => Item | undefined,
): Iterable<Group> {
  if (numberOf === undefined || groups.size === 1) return groups.values();
  const numbered = Array.from(groups.values(), (group) => {
    const item = head(group);
    return { group, number: item === undefined ? 0 : numberOf(item) };
  });
  return numbered.sort((one, other) => one.number - other.number).map(({ group }) => group);
}

function moveToEnd<Value>(map: Map<string, Value>, key: string): void {
  const value = map.get(key);
  if (value === undefined) return;
  map.delete(key);
  map.set(key, value);
}
