/** Runs before each test file: see `cleanup.ts`. */
import { afterAll, afterEach } from 'vitest';
import { undoFile, undoTest } from './cleanup.ts';

afterEach(undoTest);
afterAll(undoFile);
