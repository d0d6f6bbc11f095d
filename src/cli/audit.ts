/** `gatehouse audit …` */
import { type Command, InvalidArgumentError } from 'commander';
import { ActorKind, type AuditEvent } from '../database/generated/client.ts';
import { AUDIT_EVENTS, type AuditFilter, auditConditions } from '../database/record-lists.ts';
import { AUDIT_ACTIONS, AUDIT_SUBJECTS, actorIdOf, isAuditAction, subjectIdOf } from '../domain/audit.ts';
import { parseId, toId } from '../domain/id.ts';
import {
  choiceOption,
  choicesOption,
  DIRECTIONS,
  type Direction,
  isoTime,
  networkOption,
  wholeNumber,
} from './arguments.ts';
import { addRefusalCommands } from './audit-refusals.ts';
import { UsageError } from './failure.ts';
import type { TableColumn } from './output.ts';
import { pagesOf } from './pages.ts';
import { inSession, networkIdOf } from './session.ts';

export function addAuditCommands(program: Command): void {
  const audit = program.command('audit').description('the audit trail: who changed what, and when');
  audit
    .command('list')
    .description('the events of a network, the latest first')
    .addOption(networkOption())
    .option('--action <action>', 'such as key.created; repeat it, or part several by commas', actions)
    .option('--actor <id>', 'a key (key_…), or an admin (adm_…) with the keys that acted for the admin')
    .addOption(choicesOption('--actor-kind <kind>', 'who made the change', Object.values(ActorKind)))
    .option('--subject <id>', 'what was changed: a net_…, adm_…, key_… or mem_…')
    .addOption(choicesOption('--subject-type <type>', 'what kind of thing that is', AUDIT_SUBJECTS))
    .option('--since <time>', 'from then on, in ISO 8601', isoTime)
    .option('--until <time>', 'before then', isoTime)
    .addOption(choiceOption('--order <order>', 'by time; the latest first if you do not say otherwise', DIRECTIONS))
    .option('--limit <n>', 'so many at the most (all)', wholeNumber)
    .addHelpText('after', HELP)
    .action((options: ListOptions, command: Command) => {
      const filter = filterOf(options);
      return inSession(command, async (session) => {
        const { order = 'DESC', limit } = options;
        const list = { order: 'CREATED_AT', descending: order === 'DESC', conditions: auditConditions(filter), limit };
        const networkId = await networkIdOf(session, options.network);
        const events = pagesOf<AuditEvent>(session.database, networkId, AUDIT_EVENTS, list);
        await session.output.list(events, documentOf, COLUMNS);
      });
    });
  addRefusalCommands(audit);
}

const HELP = `
The actions are ${Object.keys(AUDIT_ACTIONS).join(', ')}.
The trail of a network that was deleted is found by its id. Tokens that were not let in, and changes of keys that were
refused, are in \`audit failures\` and \`audit refusals\`.

Example:
  $ gatehouse audit list --network acme --action key.created,key.revoked --since 2026-11-01`;

interface ListOptions {
  readonly network: string;
  readonly action?: readonly string[];
  readonly actor?: string;
  readonly subject?: string;
  readonly since?: Date;
  readonly until?: Date;
  readonly actorKind?: readonly ActorKind[];
  readonly subjectType?: readonly string[];
  readonly order?: Direction;
  readonly limit?: number;
}

function actions(text: string, before: readonly string[] = []): string[] {
  const given = text.split(',').map((action) => action.trim());
  if (given.every(isAuditAction)) return [...before, ...given];
  throw new InvalidArgumentError(`The actions are ${Object.keys(AUDIT_ACTIONS).join(', ')}.`);
}

function filterOf({ action, actor, actorKind, subject, subjectType, since, until }: ListOptions): AuditFilter {
  const [actorId, subjectId] = [actor, subject].map((id) => (id === undefined ? null : parseId(id)));
  const isActor = actorId?.type === 'ApiKey' || actorId?.type === 'Admin';
  if (actor !== undefined && !isActor) throw new UsageError('--actor takes the id of a key or an admin');
  const isSubject = AUDIT_SUBJECTS.some((type) => type === subjectId?.type);
  if (subject !== undefined && !isSubject) throw new UsageError('--subject takes an id, such as key_…');
  return {
    actions: action,
    actorKinds: actorKind,
    subjectTypes: subjectType,
    actor: isActor ? { type: actorId.type as 'ApiKey' | 'Admin', id: actorId.uuid } : undefined,
    subjectId: subjectId?.uuid,
    since,
    until,
  };
}

const COLUMNS: readonly TableColumn<AuditEvent>[] = [
  ['WHEN', ({ createdAt }) => createdAt.toISOString()],
  ['ACTION', ({ action }) => action],
  ['ACTOR', (event) => actorIdOf(event) ?? event.actorKind],
  ['SUBJECT', (event) => subjectIdOf(event) ?? event.subjectType],
  ['DETAILS', ({ details }) => JSON.stringify(details)],
];

function documentOf(event: AuditEvent): Record<string, unknown> {
  const { action, actorKind, adminId, subjectType, details, requestId, address, userAgent, createdAt } = event;
  return {
    id: toId('AuditEvent', event.id),
    createdAt: createdAt.toISOString(),
    action,
    actorKind,
    actorId: actorIdOf(event),
    adminId: adminId === null ? null : toId('Admin', adminId),
    subjectType,
    subjectId: subjectIdOf(event),
    details,
    requestId,
    address,
    userAgent,
  };
}
