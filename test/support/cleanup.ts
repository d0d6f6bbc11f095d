/**
 * What tests leave to be undone. A worker runs many files one after the other, in which a module like this is loaded once:
 * a hook of its own would be the first file's alone. `setup.ts` calls these for each file.
 */

type Step = () => Promise<unknown>;

const ofTest: Step[] = [];
const ofFile: Step[] = [];

/** Runs after the test, in the reverse order. */
export function afterTest(step: Step): void {
  ofTest.push(step);
}

/** Runs after the last test of the file, in the reverse order. */
export function afterFile(step: Step): void {
  ofFile.push(step);
}

export const undoTest = (): Promise<void> => undo(ofTest);
export const undoFile = (): Promise<void> => undo(ofFile);

/** All of it, also where a step fails; then the first failure. */
async function undo(steps: Step[]): Promise<void> {
  const failures: unknown[] = [];
  for (const step of steps.splice(0).reverse()) {
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
