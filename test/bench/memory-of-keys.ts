/** Run with --expose-gc: prints the bytes that the windows of so many active keys take. */
import { newUuid } from '../../src/domain/id.ts';
import { MemoryLimiter } from '../../src/limits/memory-limiter.ts';

const keys = Number(process.argv[2]);
const limiter = new MemoryLimiter();
const bytes = () => {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
};
const before = bytes();
for (let count = 0; count < keys; count += 1) {
  const id = newUuid();
  const charge = (name: string, max: number, amount: number) => ({ key: `${id}:${name}`, max, amount });
  limiter.take('network', [charge('requests', 100, 1), charge('cost', 10_000, 64)], false);
}
const { windows } = limiter.size;
console.log(JSON.stringify({ bytes: bytes() - before, windows }));
await limiter.close();
