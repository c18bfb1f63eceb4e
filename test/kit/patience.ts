/**
 * How long to wait for what must come, before a test says that it did not. It says nothing of how fast anything is: machines
 * that do much else at the same time take many times as long. Below the limit of a test, which says less.
 */
export const PATIENCE_MS = 60_000;

/** For a whole copy to come to a client that has nothing yet, beside a load. */
export const COPY_PATIENCE_MS = 240_000;
