/**
 * In which order test files run. By itself Vitest begins with the largest files; what takes minutes here are the programs
 * and servers that a test starts, and one of those left for last keeps a single worker busy while the others wait.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const SLOW =
  /\/test\/(main|cli|browser|promises|readme\.test|database\/(embedded|silent-connections|migrate-silence|member-plans)|limits\/redis-failure)/;

export class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isSlow = ({ moduleId }: TestSpecification) => SLOW.test(moduleId);
    return [...sorted.filter(isSlow), ...sorted.filter((file) => !isSlow(file))];
  }
}
