/**
 * The command line: `sluice start | validate | …`, as `sluice --help` lists it. Errors are one paragraph, never a stack
 * trace. A command is loaded when it is asked for: who checks rules need not wait for a server to be read.
 */
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { asSluiceError, SluiceError } from '@sluice/core';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { languageNames } from './cli/client-languages.ts';
import { collectClaims } from './cli/claims.ts';
import { roles } from './role.ts';
import { packageVersion } from './version.ts';

/** @returns the exit code: 0 well, 1 an error that is described on stderr, 2 wrong usage */
export async function main(argv: readonly string[]): Promise<number> {
  let code = 0;
  // `sluice sync | head` ends us in order.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  const run = async (command: Promise<number>): Promise<void> => {
    code = await command;
  };
  const program = new Command('sluice')
    .description(
      'Sync-rules replication service: a source database into buckets, served over the PowerSync sync protocol',
    )
    .version(packageVersion())
    .exitOverride()
    .configureHelp({ showGlobalOptions: true });

  program
    .command('start')
    .description('replicate and serve; without --config, with an embedded Postgres and example data')
    .option('-c, --config <file>', 'configuration file')
    .addOption(new Option('-r, --role <role>', 'what this process does of it').choices(roles).default('all'))
    .option('-p, --port <port>', 'port to listen on, in place of the configured one; 0: one that is free', portNumber)
    .action(async (options) => run((await import('./cli/start.ts')).start(options)));
  program
    .command('token')
    .description('sign a development token with the first HS key of the configuration')
    .requiredOption('-s, --sub <user>', 'the user the token is for')
    .option('-c, --config <file>', 'configuration file (default: the development server of this folder)')
    .option('--aud <audience>', 'audience (default: the first accepted one)')
    .option('--ttl <seconds>', 'lifetime', '3600')
    .option('--claim <k=v>', 'another claim; v is JSON or text; may be given again', collectClaims, {})
    .action(async (options) => run((await import('./cli/token.ts')).token(options)));
  program
    .command('status')
    .description('what the service is doing')
    .option('--url <url>', 'address of the service (default: the development server of this folder)')
    .option('--token <token>', 'operator token')
    .option('--json', 'the whole document')
    .option('--watch', 'again every second, until interrupted')
    .action(async (options) => run((await import('./cli/status.ts')).status(options)));
  program
    .command('sync')
    .description('connect as a client and print rows as they come')
    .option('--url <url>', 'address of the service (default: the development server of this folder)')
    .option('--token <jwt>', 'client token')
    .option('--once', 'end after the first complete checkpoint')
    .action(async (options) => run((await import('./cli/sync.ts')).sync(options)));

  rulesCommands(program, run);
  storageCommands(program, run);
  try {
    await program.parseAsync([...argv]);
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    process.stderr.write(`${describe(error)}\n`);
    return 1;
  }
}

type Run = (command: Promise<number>) => Promise<void>;

function rulesCommands(program: Command, run: Run): void {
  program
    .command('validate')
    .description('check sync rules: exit 0 if they are well, 1 if not')
    .argument('<file>', 'sync rules')
    .addOption(schemaOption())
    .option('-c, --config <file>', 'configuration file: check tables and columns against its source')
    .option('--json', 'diagnostics as JSON')
    .option('--strict', 'take warnings as errors')
    .action(async (file, options) => run((await import('./cli/validate.ts')).validate(file, options)));
  program
    .command('plan')
    .description('print how the tables of the rules would be copied: tasks, rows, bytes, minutes; reads no row')
    .argument('[file]', 'sync rules (default: those of the configuration)')
    .option('-c, --config <file>', 'configuration file', 'sluice.yaml')
    .option('--rows-per-second <n>', 'rate that minutes are counted by')
    .option('--json', 'the whole plan, with its ranges')
    .action(async (file, options) => run((await import('./cli/plan.ts')).plan(file, options)));
  program
    .command('schema')
    .description('print the client schema that sync rules produce; without rules, the tables of the source as JSON')
    .argument('[file]', 'sync rules')
    .addOption(schemaOption())
    .option('-c, --config <file>', 'configuration file: read tables and columns from its source')
    .addOption(new Option('--lang <language>', 'what to print').choices(languageNames).default('ts'))
    .action(async (file, options) => run((await import('./cli/schema.ts')).schema(file, options)));
}

function storageCommands(program: Command, run: Run): void {
  program
    .command('migrate')
    .description('bring the schema of a storage in Postgres to this version')
    .requiredOption('-c, --config <file>', 'configuration file')
    .action(async (options) => run((await import('./cli/storage.ts')).migrate(options)));
  program
    .command('new-epoch')
    .description('after a storage in Postgres was restored from a backup: copy anew, under names no client knows')
    .requiredOption('-c, --config <file>', 'configuration file')
    .option('--yes', 'really')
    .action(async (options) => run((await import('./cli/storage.ts')).newEpoch(options)));
}

/** Offline instead of a source. */
function portNumber(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new InvalidArgumentError('It must be a number from 0 to 65535.');
}

function schemaOption(): Option {
  return new Option('--schema <file>', 'tables of the source, as `sluice schema --config` prints them').conflicts(
    'config',
  );
}

function describe(error: unknown): string {
  const known = asSluiceError(error);
  if (error instanceof SluiceError) return error.describe();
  return `${known.describe()}\n${error instanceof Error && process.env['SLUICE_DEBUG'] === '1' ? error.stack : ''}`.trimEnd();
}

const invoked = process.argv[1] === undefined ? '' : realpathSync(process.argv[1]);
if (invoked === fileURLToPath(import.meta.url)) process.exitCode = await main(process.argv);
