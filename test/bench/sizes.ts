/** How much of everything: by default, for the million, and for a look at whether that works. */
import type { Size as CommunitySize } from './community.ts';

export interface Size extends CommunitySize {
  /** Members that the import brings; null: what goes over all of them once is left out. */
  readonly imported: number | null;
}

export const USUAL: Size = { members: 20_000, otherNetworks: 3, membersOfOthers: 5_000, imported: null };
export const MILLION: Size = { members: 1_000_000, otherNetworks: 200, membersOfOthers: 1_000, imported: 1_000_000 };
export const HUNDREDTH: Size = { members: 10_000, otherNetworks: 20, membersOfOthers: 100, imported: 2_000 };
