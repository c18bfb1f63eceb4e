import { expect, test } from 'vitest';
import { OpRegister } from './op-register.ts';

const put = (opId: string, checksum: number) =>
  ({ op_id: opId, op: 'PUT', checksum, object_type: 't', object_id: '1' }) as const;

test('an op id that comes back with another content is found, in its bucket only', () => {
  const register = new OpRegister();
  register.note('a', [put('1', 5), put('2', 6)]);
  register.note('a', [put('2', 6)]);
  register.note('b', [put('2', 7)]);
  expect([register.size, register.repeated]).toEqual([3, 1]);
  expect(() => register.note('a', [put('2', 7)])).toThrow('op id used twice: a 2');
});
