/** Time taken of what is done once. */

/** `work`: resolves to how many it did. */
export async function perSecond(work: () => Promise<number>): Promise<number> {
  const startMs = performance.now();
  const count = await work();
  return (count / (performance.now() - startMs)) * 1_000;
}
