/**
 * The world around the law of checkpoints, small enough to walk through all of it: a source with two tables, a stream
 * and a copy that write into one storage, crashes, and what storage keeps across them. The decisions are those of
 * checkpoint-state.ts; rows follow the rules of the writer port. One step is one storage transaction, one read of the
 * source, or one move of the source.
 */
import { at } from '../conformance/harness.ts';
import { type advance, type CheckpointState, type commit, initialCheckpointState } from '../checkpoint-state.ts';
import { holdsCheckpoints, type TableVisibility } from '../table-state.ts';

type TableName = 'A' | 'B';
type Value = number | null;
type Rows = Readonly<Record<string, Value>>;

interface Change {
  readonly table: TableName;
  readonly key: number;
  readonly value: Value;
}

const change = (table: TableName, key: number, value: Value): Change => ({ table, key, value });

/** Transaction n ends at position n. The second one brings a table that the stream has not met; the last one is empty. */
const HISTORY: readonly (readonly Change[])[] = [
  [change('A', 1, 2), change('A', 2, 1)],
  [change('B', 1, 1)],
  [change('A', 1, null), change('B', 1, 2)],
  [],
];
const END = HISTORY.length;

const KEYS = [1, 2];
/** Before the first transaction. Values are never used twice, so that old rows are told from new ones. */
const SOURCE: readonly Rows[] = HISTORY.reduce<Rows[]>(
  (states, changes) => {
    const next: Record<string, Value> = { ...states.at(-1) };
    for (const { table, key, value } of changes) next[table + key] = value;
    return [...states, next];
  },
  [{ A1: 9, A2: null, B1: 8, B2: 7 }],
);

interface TableModel {
  /** `unknown`: the stream has not met it yet. */
  readonly snapshot: 'unknown' | 'pending' | 'done';
  /** Keys copied and durable; doubles as the task's cursor. */
  readonly copied: number;
  readonly visibility: TableVisibility;
  /** Where its copy ended. */
  readonly end: number;
}

/** What the copier holds in memory of one table. */
interface Reading {
  /** The next key's value, read and not yet flushed; undefined if nothing is read. */
  readonly value: Value | undefined;
  /** Source position when the last key was read; null before. */
  readonly end: number | null;
}

export interface ModelState {
  // The source.
  readonly head: number;
  /** What has been acknowledged: the stream starts behind it. */
  readonly acked: number;
  // Durable.
  readonly law: CheckpointState;
  /** Rows as the newest checkpoint shows them. */
  readonly visible: Rows;
  /** Ops behind the checkpoint, oldest first. */
  readonly ops: readonly Change[];
  /** Source records; null is a tombstone. */
  readonly records: Rows;
  /** Records that were stored while their table was staged and have not become ops yet. */
  readonly staged: readonly string[];
  readonly tables: Readonly<Record<TableName, TableModel>>;
  // The process.
  readonly crashesLeft: number;
  readonly up: boolean;
  /** Transactions that the stream has flushed whole. */
  readonly position: number;
  /** Rows of the next transaction that are flushed already. */
  readonly flushedRows: number;
  readonly reading: Readonly<Record<TableName, Reading>>;
}

const NOTHING_READ: Reading = { value: undefined, end: null };
const IDLE = { up: false, position: 0, flushedRows: 0, reading: { A: NOTHING_READ, B: NOTHING_READ } } as const;

export function initialModel(crashes: number): ModelState {
  return {
    head: 0,
    acked: 0,
    law: initialCheckpointState,
    visible: {},
    ops: [],
    records: {},
    staged: [],
    tables: {
      A: { snapshot: 'pending', copied: 0, visibility: 'shown', end: 0 },
      B: { snapshot: 'unknown', copied: 0, visibility: 'shown', end: 0 },
    },
    crashesLeft: crashes,
    ...IDLE,
  };
}

/** What the model does at the places where a rule decides; rules.ts has the real ones, and mutants. */
export interface Rules {
  readonly advance: typeof advance;
  readonly commit: typeof commit;
  /** When the stream, standing between two transactions, may commit. */
  readonly mayCommit: (state: ModelState) => boolean;
  readonly openEarly?: boolean;
  readonly newTableKeepsDone?: boolean;
  readonly stagedRowsAreShown?: boolean;
  readonly sampleBeforeReading?: boolean;
  readonly skipSnapshotFlush?: boolean;
  readonly snapshotOverwrites?: boolean;
  readonly noTombstones?: boolean;
  readonly ackBeforeFlush?: boolean;
  readonly commitBeforeFlush?: boolean;
}

export type Step = readonly [name: string, next: ModelState];

export interface Variant {
  /** Whether the stream runs while a table is copied. */
  readonly concurrent: boolean;
  /** Whether a table that comes beside a checkpoint is staged. */
  readonly staging?: boolean;
  readonly rules: Rules;
}

export function stepsOf(state: ModelState, variant: Variant): Step[] {
  const steps: Step[] = [];
  if (state.head < END) steps.push(['source commits', { ...state, head: state.head + 1 }]);
  if (!state.up) {
    steps.push(['start', { ...state, ...IDLE, up: true, position: state.acked }]);
    return steps;
  }
  if (state.crashesLeft > 0) steps.push(['crash', { ...state, ...IDLE, crashesLeft: state.crashesLeft - 1 }]);
  for (const table of ['A', 'B'] as const) copySteps(state, table, variant, steps);
  publishSteps(state, variant, steps);
  const pending = Object.values(state.tables).some(holds);
  if (!state.law.snapshotDone && (!pending || variant.rules.openEarly)) {
    const law = variant.rules.advance(state.law, { kind: 'allSnapshotsDone', position: at(0) });
    steps.push(['mark all done', { ...state, law }]);
  }
  if (!pending || variant.concurrent) streamSteps(state, variant, steps);
  return steps;
}

/** As the law sees it; a table that the stream has not met holds nothing. */
function holds({ snapshot, visibility }: TableModel): boolean {
  return snapshot !== 'unknown' && holdsCheckpoints({ snapshot, visibility });
}

/** One staged record, or all that are left. */
function publishSteps(state: ModelState, { rules }: Variant, steps: Step[]): void {
  const { B } = state.tables;
  if (B.visibility === 'shown' || B.snapshot !== 'done') return;
  for (const limit of state.staged.length > 1 ? [1, state.staged.length] : [1]) {
    const staged = state.staged.slice(limit);
    const ops = state.staged.slice(0, limit).map((row) => change('B', Number(row[1]), state.records[row] ?? null));
    const headOp = state.law.headOp + ops.length;
    const remaining = staged.length > 0;
    const law = rules.advance(state.law, { kind: 'stagedPublished', headOp, position: at(B.end), remaining });
    const tables = { ...state.tables, B: { ...B, visibility: remaining ? 'publishing' : 'shown' } as const };
    steps.push([`publish ${ops.length} of B`, { ...state, law, tables, staged, ops: [...state.ops, ...ops] }]);
  }
}

function copySteps(state: ModelState, name: TableName, { rules }: Variant, steps: Step[]): void {
  const table = state.tables[name];
  if (table.snapshot !== 'pending') return;
  const { value, end } = state.reading[name];
  const key = KEYS[table.copied];
  const setReading = (reading: Reading) => ({ ...state, reading: { ...state.reading, [name]: reading } });
  if (key === undefined) {
    const sampled = rules.sampleBeforeReading ? 0 : (end ?? state.head);
    const isStaged = table.visibility === 'staged';
    const law = isStaged ? state.law : rules.advance(state.law, { kind: 'tableSnapshotDone', position: at(sampled) });
    const tables = { ...state.tables, [name]: { ...table, snapshot: 'done', end: sampled } };
    steps.push([`${name} is copied`, { ...state, law, tables }]);
  } else if (value === undefined) {
    const read = SOURCE[state.head]?.[name + key] ?? null;
    steps.push([`read ${name}${key}`, setReading({ value: read, end: state.head })]);
  } else {
    const tables = { ...state.tables, [name]: { ...table, copied: table.copied + 1 } };
    const isPresent = rules.snapshotOverwrites ? false : state.records[name + key] !== undefined;
    const rows = value === null || isPresent || rules.skipSnapshotFlush ? [] : [change(name, key, value)];
    steps.push([`flush ${name}${key}`, { ...write(setReading({ value: undefined, end }), rows, null, rules), tables }]);
  }
}

function streamSteps(state: ModelState, { rules, staging }: Variant, steps: Step[]): void {
  const { position, flushedRows } = state;
  const isBetween = flushedRows === 0;
  if (isBetween && rules.mayCommit(state)) {
    for (const createEmpty of [true, false])
      steps.push([`commit ${position}`, commitAt(state, position, createEmpty, rules)]);
  }
  if (isBetween && position > state.acked) steps.push(['ack', { ...state, acked: position }]);
  const transaction = HISTORY[position];
  if (transaction === undefined || position >= state.head) return;
  if (state.tables.B.snapshot === 'unknown' && transaction.some(({ table }) => table === 'B')) {
    const visibility = staging === true && state.law.checkpoint !== null ? 'staged' : 'shown';
    const B = { snapshot: 'pending', copied: 0, visibility, end: 0 } as const;
    const isOpen = rules.newTableKeepsDone === true || !holds(B);
    const law = isOpen ? state.law : rules.advance(state.law, { kind: 'tableSnapshotRequired' });
    steps.push(['meet B', { ...state, law, tables: { ...state.tables, B } }]);
    return;
  }
  if (rules.ackBeforeFlush) steps.push(['ack', { ...state, acked: position + 1 }]);
  if (rules.commitBeforeFlush) steps.push(['commit ahead', commitAt(state, position + 1, true, rules)]);
  for (let end = flushedRows + 1; end < transaction.length; end++) {
    const rows = transaction.slice(flushedRows, end);
    steps.push([`flush part of ${position + 1}`, { ...write(state, rows, position + 1, rules), flushedRows: end }]);
  }
  const rest = transaction.slice(flushedRows);
  const whole = rest.length === 0 ? state : write(state, rest, position + 1, rules);
  steps.push([`flush ${position + 1}`, { ...whole, position: position + 1, flushedRows: 0 }]);
}

/** One flush: rows, their ops (none for rows that change nothing) and the law's event, in one transaction. */
function write(state: ModelState, rows: readonly Change[], boundary: number | null, rules: Rules): ModelState {
  const event = { kind: 'flushed', boundary: boundary === null ? null : at(boundary) } as const;
  if (rows.length === 0) return { ...state, law: rules.advance(state.law, { ...event, headOp: state.law.headOp }) };
  const records: Record<string, Value> = { ...state.records };
  const ops = [...state.ops];
  let { staged } = state;
  for (const row of rows) {
    const key = row.table + row.key;
    if ((records[key] ?? null) !== row.value) {
      const isStaged = state.tables[row.table].visibility === 'staged' && rules.stagedRowsAreShown !== true;
      if (!isStaged) ops.push(row);
      staged = staged.filter((other) => other !== key);
      if (isStaged && row.value !== null) staged = [...staged, key].sort();
    }
    if (row.value === null && rules.noTombstones) delete records[key];
    else records[key] = row.value;
  }
  const headOp = state.law.headOp + ops.length - state.ops.length;
  const law = rules.advance(state.law, { ...event, headOp });
  return { ...state, records, staged, ops, law };
}

function commitAt(state: ModelState, position: number, createEmpty: boolean, rules: Rules): ModelState {
  const { state: law } = rules.commit(state.law, { position: at(position), createEmpty });
  const moved = (law.checkpoint?.opId ?? 0) - (state.law.checkpoint?.opId ?? 0);
  if (moved === 0) return { ...state, law };
  const visible: Record<string, Value> = { ...state.visible };
  for (const { table, key, value } of state.ops.slice(0, moved)) {
    if (value === null) delete visible[table + key];
    else visible[table + key] = value;
  }
  return { ...state, law, visible, ops: state.ops.slice(moved) };
}

/** @returns what is wrong with having come from `before` to `state`; null if nothing is */
export function violation(before: ModelState, state: ModelState): string | null {
  const old = before.law.checkpoint;
  const checkpoint = state.law.checkpoint;
  if (old === checkpoint || checkpoint === null) return null;
  if (old !== null && (checkpoint.opId < old.opId || checkpoint.position < old.position)) return 'the checkpoint fell';
  if (Object.values(state.tables).some(holds)) return 'a checkpoint in mid-copy';
  const source = SOURCE[Number.parseInt(checkpoint.position, 16)] ?? {};
  for (const table of ['A', 'B'] as const) {
    const isKnown = state.tables[table].snapshot !== 'unknown' && state.tables[table].visibility === 'shown';
    for (const key of KEYS) {
      const expected = isKnown ? (source[table + key] ?? null) : null;
      if ((state.visible[table + key] ?? null) !== expected) return 'a checkpoint that the source never was';
    }
  }
  return null;
}

export function isFinal({ law, ops, tables }: ModelState): boolean {
  return law.checkpoint?.position === at(END) && ops.length === 0 && tables.B.visibility === 'shown';
}
