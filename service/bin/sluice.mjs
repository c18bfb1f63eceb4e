#!/usr/bin/env -S node --max-semi-space-size=32
// Rows in flight outlive a small young generation, and being promoted costs more than being collected.
import { main } from '../dist/cli.js';

process.exitCode = await main(process.argv);
