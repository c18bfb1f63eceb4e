/** Counters of the stream, kept where the work is done; the status document and the probes are made of them. */
import type { Position } from '@sluice/core';
import type { Gate } from '@sluice/storage';

export interface StreamProgress {
  transactions: number;
  changes: number;
  ops: number;
  flushes: number;
  flushMs: number;
  commits: number;
  /** Newest position up to which the stream has come in; null before the first. */
  received: Position | null;
  /** Newest position that is durable in storage and acknowledged; null before the first. */
  durable: Position | null;
  /** When `durable` was last moved or confirmed; null before the first. */
  durableAtMs: number | null;
  /** The gate that held the last commit back; null if none did. */
  gate: Gate | null;
  /** Source commit time of the oldest transaction that no checkpoint covers; null if all are covered. */
  oldestUncommittedAtMs: number | null;
}

export function newStreamProgress(): StreamProgress {
  return {
    transactions: 0,
    changes: 0,
    ops: 0,
    flushes: 0,
    flushMs: 0,
    commits: 0,
    received: null,
    durable: null,
    durableAtMs: null,
    gate: null,
    oldestUncommittedAtMs: null,
  };
}
