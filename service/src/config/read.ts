/**
 * A configuration file as plain values, each of which knows its place in the file. `!env NAME` takes the value of an
 * environment variable, `!env NAME::number` and `!env NAME::boolean` convert it.
 */
import { readFileSync } from 'node:fs';
import { SluiceError } from '@sluice/core';
import { type Document, LineCounter, type Node, parseDocument, type ScalarTag, visit } from 'yaml';

export type ConfigPath = readonly (string | number)[];

export interface ConfigSource {
  readonly file: string;
  readonly value: unknown;
  /** `file:line:column` of the value at the path, or of the nearest one around it. */
  locate(path: ConfigPath): string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws SLU_C0001, SLU_C0002, SLU_C0004 */
export function readConfigFile(file: string, environment: Environment): ConfigSource {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new SluiceError('SLU_C0001', `${file} cannot be read: ${(cause as NodeJS.ErrnoException).code}`, { cause });
  }
  return parseConfig(text, { file, environment });
}

/** @param origin.file only for messages */
export function parseConfig(
  text: string,
  origin: { readonly file: string; readonly environment: Environment },
): ConfigSource {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, customTags: [envTag], prettyErrors: false, strict: true });
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${origin.file}:${line}:${col}`;
  };
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem !== undefined) {
    throw new SluiceError('SLU_C0002', oneLine(problem.message), { where: place(problem.pos[0]) });
  }
  insertEnvironment(document, { ...origin, place });
  return {
    file: origin.file,
    value: toPlain(document, origin.file),
    locate: (path) => place(offsetOf(document, path)),
  };
}

function toPlain(document: Document, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    throw new SluiceError('SLU_C0002', `aliases: ${(cause as Error).message}`, { where: file, cause });
  }
}

/** What `!env` leaves in the document until it is replaced. */
class EnvReference {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

const envTag: ScalarTag = {
  tag: '!env',
  resolve: (text) => new EnvReference(text.trim()),
  identify: (value) => value instanceof EnvReference,
};

function insertEnvironment(
  document: Document,
  origin: { readonly environment: Environment; readonly place: (offset: number) => string },
): void {
  visit(document, {
    Scalar(_, scalar) {
      if (!(scalar.value instanceof EnvReference)) return;
      const where = origin.place(scalar.range?.[0] ?? 0);
      scalar.value = environmentValue(scalar.value.text, origin.environment, where);
    },
  });
}

function environmentValue(reference: string, environment: Environment, where: string): string | number | boolean {
  const [name = '', type = 'string'] = reference.split('::');
  const value = environment[name];
  if (value === undefined || value === '') {
    throw new SluiceError('SLU_C0004', `the environment variable ${name} is not set`, { where });
  }
  if (type === 'string') return value;
  if (type === 'number' && value.trim() !== '' && Number.isFinite(Number(value))) return Number(value);
  if (type === 'boolean' && (value === 'true' || value === 'false')) return value === 'true';
  throw new SluiceError('SLU_C0004', `the value of ${name} is not a ${type}`, { where });
}

function offsetOf(document: Document, path: ConfigPath): number {
  for (let length = path.length; length >= 0; length--) {
    const node = document.getIn(path.slice(0, length), true) as Node | undefined;
    const key = keyOffset(document, path.slice(0, length));
    if (key !== null) return key;
    if (node?.range) return node.range[0];
  }
  return 0;
}

/** Where a key stands: a person looks for the key, not for its value. */
function keyOffset(document: Document, path: ConfigPath): number | null {
  const key = path.at(-1);
  if (key === undefined) return null;
  const parent = document.getIn(path.slice(0, -1), true) as { items?: unknown[] } | undefined;
  for (const item of parent?.items ?? []) {
    const name = (item as { key?: { value?: unknown; range?: readonly number[] } }).key;
    if (name?.value === key) return name.range?.[0] ?? null;
  }
  return null;
}

function oneLine(message: string): string {
  return message.split('\n')[0] as string;
}
