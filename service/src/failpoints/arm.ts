/**
 * For the crash tests of this repository: `SLUICE_TEST_FAILPOINT=copy.flushed:3` makes the process kill itself, as
 * `kill -9` would, when it passes the named point the third time. Nothing is wrapped where the variable is not set.
 */
import { writeSync } from 'node:fs';
import { type Failpoint, failpointNames, type Failpoints, SluiceError } from '@sluice/core';

const FAILPOINT_VARIABLE = 'SLUICE_TEST_FAILPOINT';

/** Null if none is armed. @throws SLU_C0003 if the variable names no failpoint */
export function armedFailpoints(env: NodeJS.ProcessEnv): Failpoints | null {
  const text = env[FAILPOINT_VARIABLE];
  if (text === undefined || text === '') return null;
  const [name = '', times = '1'] = text.split(':');
  const point = failpointNames.find((candidate) => candidate === name);
  if (point === undefined || !/^[1-9]\d*$/.test(times)) {
    throw new SluiceError('SLU_C0003', `${FAILPOINT_VARIABLE}: ${text} is not a failpoint and a number`, {
      hint: 'This variable is for the tests of Sluice. Remove it.',
    });
  }
  return killAt(point, Number(times));
}

function killAt(point: Failpoint, time: number): Failpoints {
  let left = time;
  return {
    pass: (passed) => {
      if (passed !== point || --left > 0) return;
      writeSync(2, `failpoint ${point} passed for the ${time}. time: killed\n`);
      process.kill(process.pid, 'SIGKILL');
    },
  };
}
