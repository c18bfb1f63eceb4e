/**
 * Ops become the ops of an NDJSON line, a run at a time. Row data is JSON, and inside of a line every few bytes need an
 * escape: a program of vector instructions (ndjson-ops.wat) does it, in memory of its own, which what it reads is copied
 * into and what it writes is copied from.
 */
import { ByteSpace, escapedLength, invariant } from '@sluice/core';
import type { OpSlice } from '@sluice/storage';
import { escapeArrangements } from '@sluice/sync-rules';
import type { LineBuffer } from './line-buffer.ts';
import { NDJSON_PROGRAM } from './ndjson-program.ts';
import { plainTranscriber } from './plain-transcriber.ts';

interface Program {
  readonly memory: WebAssembly.Memory;
  /** As ndjson-ops.wat describes it. All but `lastOp` and `rawData` are places in the memory. */
  readonly transcribe: (
    entries: number,
    count: number,
    bodies: number,
    origin: number,
    lastOp: number,
    rawData: boolean,
    at: number,
  ) => number;
}

const PAGE_BYTES = 1 << 16;
/** Behind the program's own texts. */
const INPUT = 0x2000;
/** A byte of text becomes six at most (`\u001f`). */
const GROWTH_MAX = 6;
/** Slices beyond this are looked through, so that a large row does not take six times its size. */
const COUNTED_BYTES = 256 * 1024;
/** Names, quotes and numbers of one op. */
const OP_FRAME_MAX = 192;
/** The program stores more than it has, and the next bytes over it. */
const OVERHANG = 64;
/** Memory never shrinks: after a huge row the program is started anew. */
const KEPT_BYTES_MAX = 8 << 20;

export interface OpTranscriber {
  /** @param rawData whether `data` stays JSON text; if not, it is embedded, byte for byte */
  put(line: LineBuffer, slice: OpSlice, rawData: boolean): void;
}

/** Runs the program where it can run: not on x86 without SSE 4.1, nor where a process may not have 10 GB of addresses. */
export function openOpTranscriber(): OpTranscriber {
  try {
    return new VectorTranscriber();
  } catch {
    return plainTranscriber;
  }
}

class VectorTranscriber implements OpTranscriber {
  readonly #module = new WebAssembly.Module(Buffer.from(NDJSON_PROGRAM, 'base64'));
  #program = start(this.#module);
  #space = spaceOf(this.#program);

  put(line: LineBuffer, slice: OpSlice, rawData: boolean): void {
    const { run, from, to } = slice;
    const entries = run.entries(from, to);
    const bodies = INPUT + entries.length;
    const output = bodies + slice.bytes + OVERHANG;
    this.#reserve(output + outputMax(slice));
    this.#space.bytes.set(entries, INPUT);
    this.#space.bytes.set(run.bodies(from, to), bodies);
    const origin = bodies - (run.bodyAt(from) - run.bodyAt(0));
    const end = this.#program.transcribe(INPUT, slice.count, bodies, origin, run.lastOp, rawData, output);
    invariant(end > 0, 'ndjson: an op body has other elements than it should');
    line.reserve(end - output);
    line.copy(this.#space, output, end);
    if (this.#space.bytes.length > KEPT_BYTES_MAX) this.#restart();
  }

  #reserve(bytes: number): void {
    const missing = bytes - this.#space.bytes.length;
    if (missing <= 0) return;
    this.#program.memory.grow(Math.ceil(missing / PAGE_BYTES));
    this.#space = spaceOf(this.#program);
  }

  #restart(): void {
    this.#program = start(this.#module);
    this.#space = spaceOf(this.#program);
  }
}

function outputMax({ run, from, to, bytes, count }: OpSlice): number {
  const text = bytes < COUNTED_BYTES ? bytes * GROWTH_MAX : escapedLength(run.space, run.bodyAt(from), run.bodyAt(to));
  return text + count * OP_FRAME_MAX + OVERHANG;
}

function start(module: WebAssembly.Module): Program {
  const program = new WebAssembly.Instance(module).exports as unknown as Program;
  new Uint8Array(program.memory.buffer).set(escapeArrangements());
  return program;
}

function spaceOf({ memory }: Program): ByteSpace {
  return new ByteSpace(Buffer.from(memory.buffer));
}
