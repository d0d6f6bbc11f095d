/**
 * Refused attempts on keys: whoever asks for a change of keys and may not have it is counted, per mutation and code, as
 * the audit trail holds only what was changed. Where the refusal comes from makes no difference: a scope that is missing, a
 * limit or a bound before execution, a check inside the transaction, or a user error in the payload.
 */
import {
  type DocumentNode,
  defaultFieldResolver,
  type GraphQLObjectType,
  type GraphQLSchema,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
} from 'graphql';
import { TOKEN_ALREADY_SHOWN } from '../domain/api-key.ts';
import { GatehouseError, type RefusalCode } from '../domain/errors.ts';
import type { Call } from './call.ts';
import type { Context } from './context.ts';
import { declaredScopes } from './directives.ts';
import { refusalIn } from './errors.ts';
import { fragmentsOf } from './requirements.ts';
import { rootFields } from './selection.ts';

/** Makes every mutation of keys tell of its refusals. */
export function tellRefusedAttempts(schema: GraphQLSchema): void {
  for (const [name, field] of Object.entries(mutationsOfKeys(schema))) {
    const resolve = field.resolve ?? defaultFieldResolver;
    field.resolve = async (root, args, context: Context, info) => {
      try {
        const payload: unknown = await resolve(root, args, context, info);
        for (const code of userErrorCodes(payload)) context.onRefusedAttempt(name, code);
        return payload;
      } catch (thrown) {
        if (thrown instanceof GatehouseError) context.onRefusedAttempt(name, thrown.code);
        throw thrown;
      }
    };
  }
}

/** Why an operation may be refused before anything of it runs: for all other reasons the document is at fault. */
const REFUSED_BEFORE: ReadonlySet<string> = new Set<RefusalCode>(['FORBIDDEN', 'RATE_LIMITED', 'QUERY_TOO_EXPENSIVE']);

/** For a request that was refused before anything ran. */
export function tellRefusedRequest(schema: GraphQLSchema, { asked, result, context }: Call): void {
  const [error] = result?.errors ?? [];
  if (asked === null || error === undefined || result?.data !== undefined) return;
  const code = refusalIn(error)?.code;
  if (code === undefined || !REFUSED_BEFORE.has(code)) return;
  const fragments = fragmentsOf(asked.document.definitions);
  const mutations = mutationsOfKeys(schema);
  for (const operation of mutationsIn(asked.document, asked.operationName)) {
    for (const name of new Set(rootFields(operation, fragments).map((field) => field.name.value))) {
      if (Object.hasOwn(mutations, name)) context.onRefusedAttempt(name, code);
    }
  }
}

/** The one that was asked for; those of a document that is refused before that is looked at, where no name was sent. */
function mutationsIn({ definitions }: DocumentNode, name: string | null): OperationDefinitionNode[] {
  return definitions
    .filter((definition) => definition.kind === Kind.OPERATION_DEFINITION)
    .filter(({ operation }) => operation === OperationTypeNode.MUTATION)
    .filter((operation) => name === null || operation.name?.value === name);
}

function mutationsOfKeys(schema: GraphQLSchema): ReturnType<GraphQLObjectType['getFields']> {
  const fields = Object.entries(schema.getMutationType()?.getFields() ?? {});
  return Object.fromEntries(fields.filter(([, field]) => declaredScopes(field)?.includes('keys:write') === true));
}

function userErrorCodes(payload: unknown): ReadonlySet<string> {
  const codes = payloadErrors(payload).map(({ code }) => code);
  return new Set(codes.filter((code) => code !== TOKEN_ALREADY_SHOWN.code));
}

/** Its own, and those of each of its results, where it has several. */
function payloadErrors(payload: unknown): readonly { readonly code: string }[] {
  if (typeof payload !== 'object' || payload === null) return [];
  const { userErrors = [], results = [] } = payload as Partial<Record<'userErrors' | 'results', readonly unknown[]>>;
  return [...(userErrors as { readonly code: string }[]), ...results.flatMap(payloadErrors)];
}
