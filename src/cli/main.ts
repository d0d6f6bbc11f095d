#!/usr/bin/env node
/** `gatehouse <noun> <verb>`: the operator's command line, with a gateway running or not. */
import { Command } from 'commander';
import { addAdminCommands } from './admin.ts';
import type { GlobalOptions } from './arguments.ts';
import { addAuditCommands } from './audit.ts';
import { failureOf } from './failure.ts';
import { addKeyCommands } from './key.ts';
import { addMemberCommands } from './member.ts';
import { addNetworkCommands } from './network.ts';
import { Output, ReaderGone } from './output.ts';

function buildProgram(): Command {
  // Settings first: the commands below it inherit them.
  const program = new Command('gatehouse')
    .description(
      'Manages the networks, admins, members and API keys of a Gatehouse, whether or not a gateway is running.',
    )
    .option('--json', 'print one JSON document on standard output, and nothing else there')
    .exitOverride()
    .showSuggestionAfterError()
    .showHelpAfterError('(--help explains the command)')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('after', HELP);
  addNetworkCommands(program);
  addAdminCommands(program);
  addMemberCommands(program);
  addKeyCommands(program);
  addAuditCommands(program);
  return program;
}

const HELP = `
The database is DATABASE_URL's, or without one the embedded one in DATA_DIR.
The exit code is 0 when it is done, 1 when it was refused or failed, 2 for wrong usage or settings.

A network from nothing to its first key:
  $ gatehouse network create --slug acme --name "Acme"
  $ gatehouse admin create --network acme --email ada@acme.test --name "Ada"
  $ gatehouse member import --network acme members.csv
  $ gatehouse key create --network acme --name CI --scope members:read --expires-in 90d`;

async function run(args: readonly string[]): Promise<number> {
  const program = buildProgram();
  try {
    await program.parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof ReaderGone) return 0;
    return report(error, program.opts<GlobalOptions>().json === true);
  }
}

async function report(error: unknown, json: boolean): Promise<number> {
  const { exitCode, message, document } = failureOf(error);
  const output = new Output(json);
  if (message !== null) output.note(`error: ${message}`);
  if (json && document !== null) await output.answer(document, '');
  return exitCode;
}

// Not process.exit: what was written to a pipe may still be on its way.
process.exitCode = await run(process.argv.slice(2));
