/**
 * A storage whose every call waits for its turn before the work and before the answer. So work may be late, its answer
 * may be late, and a failure may come before the work or after it, when it has taken effect. The stream's calls take
 * effect in the order in which they were made, as the port promises. Written over whatever methods the ports have.
 */
import type { BucketStorage, CopyWriter, StreamReader, StreamWriter } from '@sluice/storage';
import type { TurnTaker } from './turns.ts';

type Call = (work: () => Promise<unknown>) => Promise<unknown>;
type Method = (...args: unknown[]) => unknown;

/** Calls whose order the port keeps. */
const IN_ORDER = new Set(['flush', 'commit', 'eraseRows']);
/** Those of them whose failure ends the writer. */
const ENDING = new Set(['flush', 'eraseRows']);
const AT_ONCE = new Set(['close', 'claimTask', 'releaseTask']);
/** Small, so that small data takes several transactions. */
const LIMITS: Readonly<Record<string, number>> = { eraseRows: 3, purgeTombstones: 2, publishRows: 2 };

export interface SlowOptions {
  readonly turns: TurnTaker;
  /** Whether reads wait, too; else they answer at once. */
  readonly slowReads: boolean;
  /** Takes a rule out, to see it missed. */
  readonly mutant?: ((writer: StreamWriter) => Partial<StreamWriter>) | undefined;
}

export function slowStorage(storage: BucketStorage, options: SlowOptions): BucketStorage {
  const { turns, slowReads, mutant } = options;
  return intercepted(storage, (name, method) => {
    switch (name) {
      case 'openWriter':
        return async (...args) => {
          // No turn behind it: a lease that was taken by nobody is a matter of each storage.
          await turns.take(`${name} starts`);
          const writer = (await turns.during(method(...args) as Promise<unknown>)) as StreamWriter;
          return slowWriter(mutant === undefined ? writer : altered(writer, mutant(writer)), turns);
        };
      case 'openCopyWriter':
        return async (...args) => {
          await turns.take(`${name} starts`);
          return slowWriter((await turns.during(method(...args) as Promise<unknown>)) as CopyWriter, turns);
        };
      case 'reader':
        return (...args) => {
          const reader = method(...args) as StreamReader;
          return slowReads ? slowReader(reader, turns) : reader;
        };
      case 'watchStreams':
      case 'close':
        return method;
      default:
        return (...args) => slowly(turns, name)(() => method(...args) as Promise<unknown>);
    }
  });
}

function slowReader(reader: StreamReader, turns: TurnTaker): StreamReader {
  return intercepted(reader, (name, method) => {
    if (name === 'watch') return method;
    return async (...args) => {
      const answer = await turns.during(method(...args) as Promise<unknown>);
      await turns.take(`${name} arrives`);
      return answer;
    };
  });
}

function slowWriter<W extends CopyWriter>(writer: W, turns: TurnTaker): W {
  let last: Promise<unknown> = Promise.resolve();
  let ended: { readonly error: unknown } | null = null;
  const refuseIfEnded = () => {
    if (ended !== null) throw ended.error;
  };
  const inOrder = (name: string): Call => {
    return async (work) => {
      const done = last.then(async () => {
        await turns.take(`${name} starts`);
        refuseIfEnded();
        return turns.during(work());
      });
      last = done.catch((error: unknown) => {
        if (ENDING.has(name)) ended ??= { error };
      });
      const value = await done;
      await turns.take(`${name} answers`).catch((error: unknown) => {
        if (ENDING.has(name)) ended ??= { error };
        throw error;
      });
      return value;
    };
  };
  return intercepted(writer, (name, method) => {
    // Claims are atomic, and what is done with a task takes turns enough.
    if (AT_ONCE.has(name)) return (...args) => turns.during(method(...args) as Promise<unknown>);
    const call = IN_ORDER.has(name) ? inOrder(name) : slowly(turns, name, refuseIfEnded);
    return (...args) => call(() => method(...limited(name, args)) as Promise<unknown>);
  });
}

function slowly(turns: TurnTaker, name: string, check: () => void = () => {}): Call {
  return async (work) => {
    await turns.take(`${name} starts`);
    check();
    const value = await turns.during(work());
    await turns.take(`${name} answers`);
    return value;
  };
}

function limited(name: string, args: unknown[]): unknown[] {
  const limit = LIMITS[name];
  if (limit === undefined) return args;
  const [first] = args;
  return typeof first === 'number' ? [limit] : [{ ...(first as object), limit }];
}

/** `changed` in place of the methods of `target`, which may be a class with private fields. */
export function altered<T extends object>(target: T, changed: Partial<T>): T {
  return wrapped(target, (name) => {
    const method: unknown = Reflect.get(changed, name) ?? Reflect.get(target, name);
    return typeof method === 'function' ? (...args: unknown[]) => (method as Method).apply(target, args) : method;
  });
}

function intercepted<T extends object>(target: T, wrap: (name: string, method: Method) => Method): T {
  return wrapped(target, (name) => {
    const method: unknown = Reflect.get(target, name);
    if (typeof method !== 'function' || typeof name !== 'string') return method;
    return wrap(name, (...args) => (method as Method).apply(target, args));
  });
}

/** What `instead` has for each name; of functions, once and for all. */
function wrapped<T extends object>(target: T, instead: (name: string | symbol) => unknown): T {
  const methods = new Map<string | symbol, unknown>();
  return new Proxy(target, {
    get: (_, name) => {
      const known = methods.get(name);
      if (known !== undefined) return known;
      const value = instead(name);
      if (typeof value === 'function') methods.set(name, value);
      return value;
    },
  });
}
