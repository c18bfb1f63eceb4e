import { SluiceError } from '@sluice/core';
import { describe, expect, it } from 'vitest';
import { parseCheckpointRequest, parseSyncStreamRequest } from './protocol.ts';

function refusal(parse: () => unknown): string {
  try {
    parse();
  } catch (error) {
    if (error instanceof SluiceError) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'accepted';
}

describe('a stream request', () => {
  it('may be empty', () => {
    expect(parseSyncStreamRequest({})).toEqual({
      buckets: new Map(),
      rawData: false,
      parameters: {},
      appMetadata: null,
      clientId: null,
      includeDefaults: true,
      subscriptions: [],
    });
  });

  it('is read as the SDK sends it, unknown fields and nulls included', () => {
    const request = parseSyncStreamRequest({
      buckets: [{ name: 'g[]', after: '9', extra: 1 }],
      include_checksum: true,
      raw_data: true,
      binary_data: true,
      only: ['x'],
      client_id: '028043c7',
      parameters: null,
      streams: {
        include_defaults: false,
        subscriptions: [
          { stream: 'by_list', parameters: { list_id: 'a' }, override_priority: 1 },
          { stream: 'nope', parameters: null, override_priority: null },
        ],
      },
      app_metadata: { app_version: 'x' },
    });
    expect(request.buckets).toEqual(new Map([['g[]', 9]]));
    expect(request.includeDefaults).toBe(false);
    expect(request.subscriptions[1]).toEqual({ stream: 'nope', parameters: null, overridePriority: null });
  });

  it('takes positions beyond exact numbers as "behind everything"', () => {
    const request = parseSyncStreamRequest({ buckets: [{ name: 'b', after: '9223372036854775807' }] });
    expect(request.buckets.get('b')).toBe(Number.MAX_SAFE_INTEGER);
  });

  it.each([
    [null, 'body: must be an object, not null'],
    [[], 'body: must be an object, not a list'],
    ['x', 'body: must be an object, not a string'],
    [{ buckets: {} }, 'buckets: must be a list, not an object'],
    [{ buckets: [1] }, 'buckets[0]: must be an object, not a number'],
    [{ buckets: [{ after: '1' }] }, 'buckets[0].name: must be text, not absent'],
    [
      {
        buckets: [
          { name: 'a', after: '1' },
          { name: 'b', after: 2 },
        ],
      },
      'buckets[1].after: must be text, not a number',
    ],
    [{ buckets: [{ name: 'a', after: '-1' }] }, 'buckets[0].after: must be a decimal op id'],
    [{ buckets: [{ name: 'a', after: '1e3' }] }, 'buckets[0].after: must be a decimal op id'],
    [{ raw_data: 'true' }, 'raw_data: must be true or false, not a string'],
    [{ parameters: [] }, 'parameters: must be an object, not a list'],
    [{ client_id: 7 }, 'client_id: must be text, not a number'],
    [{ app_metadata: { a: 1 } }, 'app_metadata.a: must be text, not a number'],
    [{ streams: {} }, 'streams.subscriptions: must be a list, not absent'],
    [{ streams: { subscriptions: [{}] } }, 'streams.subscriptions[0].stream: must be text, not absent'],
    [
      { streams: { subscriptions: [{ stream: 's', parameters: null, override_priority: 4 }] } },
      'streams.subscriptions[0].override_priority: must be 0, 1, 2 or 3',
    ],
    [
      { streams: { subscriptions: [{ stream: 's', parameters: 'x' }] } },
      'streams.subscriptions[0].parameters: must be an object, not a string',
    ],
  ])('is refused: %j', (body, message) => {
    expect(refusal(() => parseSyncStreamRequest(body))).toBe(`PSYNC_S2001 ${message}`);
  });
});

describe('a checkpoint request', () => {
  it.each([
    [7, 7n],
    ['7', 7n],
    ['9223372036854775807', 9223372036854775807n],
  ])('takes the id %j', (id, expected) => {
    expect(parseCheckpointRequest({ client_id: 'c', checkpoint_request_id: id }).id).toBe(expected);
  });

  it.each([[0], ['-1'], ['9223372036854775808'], [2 ** 60], [1.5], ['x'], [null], [undefined]])('refuses %j', (id) => {
    const message = refusal(() => parseCheckpointRequest({ client_id: 'c', checkpoint_request_id: id }));
    expect(message).toMatch(/^PSYNC_S2001 checkpoint_request_id: /);
  });

  it('needs a client', () => {
    expect(refusal(() => parseCheckpointRequest({ checkpoint_request_id: 1 }))).toMatch(/client_id/);
  });
});
