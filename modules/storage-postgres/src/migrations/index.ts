/** All steps, in order. */
import { base } from './0001-base.ts';
import { configuredRules } from './0002-configured-rules.ts';
import { copyWriters } from './0003-copy-writers.ts';
import type { Migration } from './migration.ts';

export const migrations: readonly Migration[] = [base, configuredRules, copyWriters];
