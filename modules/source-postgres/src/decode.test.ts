import type { StreamEvent } from '@sluice/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Decoder } from './decode.ts';

const TYPES = new Map([
  [23, 'int4'],
  [25, 'text'],
]);

const u8 = (value: number) => Buffer.from([value]);
const u16 = (value: number) => Buffer.from([value >> 8, value & 255]);
const u32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};
const u64 = (value: bigint) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
};
const name = (text: string) => Buffer.from(`${text}\0`);
const kind = (letter: string) => Buffer.from(letter);

function tuple(values: readonly (string | null | undefined)[]): Buffer {
  const parts = values.map((value) => {
    if (value === null) return kind('n');
    if (value === undefined) return kind('u');
    const bytes = Buffer.from(value);
    return Buffer.concat([kind('t'), u32(bytes.length), bytes]);
  });
  return Buffer.concat([u16(values.length), ...parts]);
}

function relation(
  identity = 'd',
  columns: readonly [string, number, number][] = [
    ['id', 1, 23],
    ['v', 0, 25],
  ],
): Buffer {
  const described = columns.map(([column, flag, type]) => Buffer.concat([u8(flag), name(column), u32(type), u32(-1)]));
  const head = [kind('R'), u32(7), name('public'), name('t'), kind(identity), u16(columns.length)];
  return Buffer.concat([...head, ...described]);
}

const begin = Buffer.concat([kind('B'), u64(0x1_0000_0100n), u64(1_000_000n), u32(9)]);
const commit = Buffer.concat([kind('C'), u8(0), u64(0x1_0000_0100n), u64(0x1_0000_0130n), u64(1_000_000n)]);
const insert = Buffer.concat([kind('I'), u32(7), kind('N'), tuple(['1', 'väl'])]);
const update = Buffer.concat([kind('U'), u32(7), kind('N'), tuple(['1', undefined])]);
const keyUpdate = Buffer.concat([kind('U'), u32(7), kind('K'), tuple(['1', null]), kind('N'), tuple(['2', 'b'])]);
const fullUpdate = Buffer.concat([kind('U'), u32(7), kind('O'), tuple(['1', null]), kind('N'), tuple(['2', 'b'])]);
const remove = Buffer.concat([kind('D'), u32(7), kind('K'), tuple(['1', null])]);
const truncate = Buffer.concat([kind('T'), u32(1), u8(0), u32(7)]);
const message = Buffer.concat([kind('M'), u8(0), u64(0x200n), name('sluice'), u32(2), Buffer.from('hi')]);
const type = Buffer.concat([kind('Y'), u32(99), name('public'), name('mood')]);
const origin = Buffer.concat([kind('O'), u64(1n), name('there')]);
const everything = { begin, insert, update, keyUpdate, fullUpdate, remove, truncate, message, type, origin, commit };

function decoder(...before: Buffer[]): Decoder {
  const made = new Decoder('default', TYPES);
  for (const each of before) made.decode(each);
  return made;
}

describe('the decoder', () => {
  it('reads begin and commit', () => {
    const d = decoder();
    expect(d.decode(begin)).toEqual({ kind: 'begin', boundary: '0000000100000101', committedAtMs: 946_684_801_000 });
    expect(d.inTransaction).toBe(true);
    expect(d.decode(commit)).toEqual({ kind: 'commit', position: '0000000100000130', committedAtMs: 946_684_801_000 });
    expect(d.inTransaction).toBe(false);
  });

  it('reads rows: text as it came, NULL as null, unchanged as undefined', () => {
    const d = decoder(relation());
    expect(d.decode(insert)).toMatchObject({ kind: 'insert', row: ['1', 'väl'] });
    expect(d.decode(update)).toMatchObject({ kind: 'update', row: ['1', undefined], before: null });
    expect(d.decode(keyUpdate)).toMatchObject({ row: ['2', 'b'], before: ['1', undefined] });
    expect(d.decode(fullUpdate)).toMatchObject({ row: ['2', 'b'], before: ['1', null] });
    expect(d.decode(remove)).toMatchObject({ kind: 'delete', before: ['1', undefined] });
  });

  it('makes a relation object of each description, whatever it says: what is published of the table may have changed', () => {
    const d = decoder(relation());
    const of = (event: StreamEvent | null) => (event?.kind === 'insert' ? event.relation : null);
    const first = of(d.decode(insert));
    expect(first).toMatchObject({ sourceId: '7', schema: 'public', name: 't', replicaIdentity: 'default' });
    expect(first?.columns).toMatchObject([
      { name: 'id', type: 'int4', typeId: 23, typeModifier: -1, key: true },
      { name: 'v', type: 'text', key: false },
    ]);
    expect(of(d.decode(insert))).toBe(first);
    d.decode(relation());
    expect(of(d.decode(insert))).toEqual(first);
    expect(of(d.decode(insert))).not.toBe(first);
    d.decode(relation('f'));
    expect(of(d.decode(insert))).not.toBe(first);
    expect(of(d.decode(insert))).toMatchObject({ replicaIdentity: 'full' });
  });

  it('asks for types it does not know', () => {
    const d = decoder(relation('d', [['id', 1, 4711]]));
    expect(d.untyped).toMatchObject([{ typeId: 4711, type: '' }]);
  });

  it('takes a message outside a transaction as a sign of progress, and not inside one', () => {
    expect(decoder().decode(message)).toEqual({ kind: 'heartbeat', position: '0000000000000200' });
    expect(decoder(begin).decode(message)).toBeNull();
  });

  it('reads a table with as many columns as there may be', () => {
    const columns = Array.from({ length: 1_600 }, (_, i): [string, number, number] => [`c${i}`, i === 0 ? 1 : 0, 25]);
    const values = columns.map(([, , type], i) => (i % 3 === 0 ? null : `${type} ${i}`));
    const row = Buffer.concat([kind('I'), u32(7), kind('N'), tuple(values)]);
    expect(decoder(relation('d', columns)).decode(row)).toMatchObject({ row: values });
  });

  it('leaves out types and origins', () => {
    expect(decoder().decode(type)).toBeNull();
    expect(decoder().decode(origin)).toBeNull();
  });

  it('reads any text back', () => {
    const value = fc.option(fc.string({ unit: 'binary' }), { nil: null });
    fc.assert(
      fc.property(value, value, (a, b) => {
        const bytes = Buffer.concat([kind('I'), u32(7), kind('N'), tuple([a, b])]);
        expect(decoder(relation()).decode(bytes)).toMatchObject({ row: [a, b] });
      }),
    );
  });

  it.each(Object.entries(everything))('refuses %s cut off anywhere', (label, whole) => {
    for (let length = 0; length < whole.length; length++) {
      const d = decoder(relation(), ...(label === 'commit' ? [begin] : []));
      const cut = Buffer.from(whole.subarray(0, length));
      expect(() => d.decode(cut), `${length} bytes`).toThrowError(expect.objectContaining({ code: 'SLU_S1155' }));
    }
  });

  it('refuses or reads any bytes, and never throws anything else', () => {
    const start = fc.constantFrom(...Object.values(everything).map((each) => [...each]));
    const edit = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 });
    fc.assert(
      fc.property(start, edit, (bytes, edits) => {
        const mutated = Buffer.from(bytes);
        for (const [at, byte] of edits) mutated[at % mutated.length] = byte;
        try {
          decoder(relation()).decode(mutated);
        } catch (error) {
          expect(error).toMatchObject({ code: 'SLU_S1155' });
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ['a row of a relation that was not described', [insert]],
    ['a begin inside a transaction', [begin, begin]],
    ['a commit outside a transaction', [commit]],
  ])('refuses %s', (_, messages) => {
    const d = decoder(...messages.slice(0, -1));
    expect(() => d.decode(messages.at(-1) as Buffer)).toThrowError(expect.objectContaining({ code: 'SLU_S1155' }));
  });
});
