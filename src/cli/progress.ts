/** The progress of an import, on a terminal only: what is committed, so what is shown is there. */
import { SingleBar } from 'cli-progress';
import type { ImportReport } from '../services/members/import.ts';

export interface Progress {
  show(report: ImportReport, sourceBytes: number): void;
  end(): void;
}

const BAR_COLUMNS = 30;

/** `totalBytes` is null for a source whose length nobody knows, such as a pipe. */
export function startProgress(totalBytes: number | null): Progress {
  if (!process.stderr.isTTY) return { show: () => undefined, end: () => undefined };
  const bar = new SingleBar({
    format: totalBytes === null ? '{done}' : '{bar} {percentage}% | {done} | {eta_formatted} left',
    stream: process.stderr,
    barsize: BAR_COLUMNS,
    hideCursor: true,
    // The command ends on signals itself, and ends the bar with it.
    gracefulExit: false,
  });
  bar.start(totalBytes ?? 1, 0, { done: inWords(0, 0) });
  return {
    show: (report, sourceBytes) => {
      const { created, updated, unchanged, rejectedCount } = report;
      bar.update(totalBytes === null ? 0 : sourceBytes, {
        done: inWords(created + updated + unchanged, rejectedCount),
      });
    },
    end: () => bar.stop(),
  };
}

function inWords(members: number, rejected: number): string {
  return `${members.toLocaleString('en')} members, ${rejected.toLocaleString('en')} rejected`;
}
