import { connect, type Socket } from 'node:net';
import { Script } from 'node:vm';
import { SluiceError, systemClock } from '@sluice/core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { completed, HttpWorld, OPERATOR, readLines, RULES, tokenOf } from './http-world.ts';

let world: HttpWorld;
let token: string;
const others: HttpWorld[] = [];

beforeAll(async () => {
  world = await HttpWorld.start();
  token = await tokenOf('ann');
  await world.commit([
    { bucket: 'g[]', id: 'a', data: '{"id":"a","value":1}' },
    { bucket: 'own["ann"]', id: 'b', data: '{"id":"b","value":"mine"}' },
    { bucket: 'own["ben"]', id: 'c', data: '{"id":"c","value":"secret"}' },
  ]);
});
afterAll(() => world.stop());
afterEach(async () => {
  for (const other of others.splice(0)) await other.stop();
});

async function another(change: Parameters<typeof HttpWorld.start>[0]): Promise<HttpWorld> {
  const started = await HttpWorld.start(change);
  others.push(started);
  return started;
}

interface ErrorBody {
  readonly error: {
    readonly code: string;
    readonly description: string;
    readonly details?: string;
    readonly status: number;
  };
}

async function refused(response: Response | Promise<Response>): Promise<string> {
  const answer = await response;
  const text = await answer.text();
  expect(text).not.toMatch(/\bat .*:\d+:\d+/);
  const { error } = JSON.parse(text) as ErrorBody;
  expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
  expect(error.status).toBe(answer.status);
  return `${answer.status} ${error.code} ${error.description}${error.details === undefined ? '' : `: ${error.details}`}`;
}

describe('/sync/stream', () => {
  it('sends NDJSON to whom does not ask for more, with headers against buffering', async () => {
    const response = await world.post('/sync/stream', { raw_data: true }, token);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/x-ndjson');
    expect(response.headers.get('x-accel-buffering')).toBe('no');
    expect(response.headers.get('cache-control')).toBe('no-store, no-transform');
    // A connection that ends with its stream is never taken for another request while it closes.
    expect(response.headers.get('connection')).toBe('close');
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    const lines = await readLines(response, completed);
    expect(lines.map((line) => Object.keys(line)[0])).toEqual(['checkpoint', 'data', 'data', 'checkpoint_complete']);
    expect(lines[0]).toMatchObject({
      checkpoint: { last_op_id: '3', buckets: [{ bucket: '1#g[]' }, { bucket: '1#own["ann"]' }] },
    });
    expect(JSON.stringify(lines)).not.toContain('secret');
  });

  it.each([
    ['*/*', false],
    ['text/html', false],
    ['application/x-ndjson', false],
    ['application/vnd.powersync.bson-stream', true],
    ['application/vnd.powersync.bson-stream;q=0.9,application/x-ndjson;q=0.8', true],
    ['application/vnd.powersync.bson-stream;q=0.5, application/x-ndjson', false],
    ['application/vnd.powersync.bson-stream;q=0', false],
  ])('answers Accept: %s with BSON: %s', async (accept, bson) => {
    const abort = new AbortController();
    const response = await world.request('/sync/stream', {
      method: 'POST',
      body: '{}',
      token,
      headers: { accept, 'content-type': 'application/json' },
      signal: abort.signal,
    });
    expect(response.headers.get('content-type')).toBe(
      bson ? 'application/vnd.powersync.bson-stream' : 'application/x-ndjson',
    );
    const { value } = await (response.body as ReadableStream<Uint8Array>).getReader().read();
    const bytes = Buffer.from(value as Uint8Array);
    if (bson) expect(bytes.subarray(4, 16).toString('latin1')).toBe('\x03checkpoint\0');
    else expect(bytes.toString()).toMatch(/^{"checkpoint":/);
    abort.abort();
  });

  it.each(['gzip', 'gzip, deflate', 'zstd, gzip;q=0.5, *;q=0', '*'])(
    'compresses for Accept-Encoding: %s, line by line',
    async (encoding) => {
      const response = await world.post('/sync/stream', {}, token, { 'accept-encoding': encoding });
      expect(response.headers.get('content-encoding')).toBe('gzip');
      expect((await readLines(response, completed)).length).toBe(4);
    },
  );

  it.each(['identity', 'gzip;q=0', 'br'])('does not compress for Accept-Encoding: %s', async (encoding) => {
    const response = await world.post('/sync/stream', {}, token, { 'accept-encoding': encoding });
    expect(response.headers.get('content-encoding')).toBeNull();
    expect((await readLines(response, completed)).length).toBe(4);
  });

  it('goes on with what is committed later', async () => {
    const response = await world.post('/sync/stream', { raw_data: true }, await tokenOf('zoe'));
    let wrote = false;
    const lines = await readLines(response, (now) => {
      if (completed(now) && !wrote) {
        wrote = true;
        void world.commit([{ bucket: 'own["zoe"]', id: 'z', data: '{"id":"z"}' }]);
      }
      return now.filter((line) => 'checkpoint_complete' in line).length === 2;
    });
    expect(lines.findLast((line) => 'data' in line)).toMatchObject({
      data: { bucket: '1#own["zoe"]', data: [{ data: '{"id":"z"}' }] },
    });
  });

  it.each([
    ['no token', null, '401 PSYNC_S2106 the Authorization header is missing'],
    ['a word as token', 'abc', '401 PSYNC_S2101 the token is not a JWT: its header cannot be read'],
  ])('refuses %s', async (_, given, message) => {
    expect(await refused(world.post('/sync/stream', {}, given))).toBe(message);
  });

  it('refuses tokens that have expired, are for others, or are signed by nobody we know', async () => {
    expect(await refused(world.post('/sync/stream', {}, await tokenOf('ann', { seconds: -500 })))).toMatch(
      /^401 PSYNC_S2103 the token has expired/,
    );
    expect(await refused(world.post('/sync/stream', {}, await tokenOf('ann', { audience: 'x' })))).toBe(
      '401 PSYNC_S2105 the claim aud is "x"; accepted: "tests"',
    );
    expect(await refused(world.post('/sync/stream', {}, await tokenOf('ann', { seconds: 90_000 })))).toMatch(
      /^401 PSYNC_S2104/,
    );
    expect(await refused(world.post('/sync/stream', {}, await tokenOf('ann', { kid: 'x' })))).toMatch(
      /^401 PSYNC_S2101 there is no key with kid "x"/,
    );
  });

  it.each(['token abc', 'Token', 'Token  abc', 'Basic YTpi', 'Bearer a b', ''])(
    'refuses the header Authorization: %s',
    async (authorization) => {
      const response = world.request('/sync/stream', {
        method: 'POST',
        body: '{}',
        headers: { authorization, 'content-type': 'application/json' },
      });
      expect(await refused(response)).toMatch(/^401 PSYNC_S2106/);
    },
  );

  it.each([
    ['{', '400 PSYNC_S2001 Validation failed: body: Body is not valid JSON'],
    ['', '400 PSYNC_S2001 Validation failed: body: Body cannot be empty'],
    ['[]', '400 PSYNC_S2001 Validation failed: body: must be an object, not a list'],
    ['null', '400 PSYNC_S2001 Validation failed: body: must be an object, not null'],
    [
      '{"buckets":[{"name":"a","after":7}]}',
      '400 PSYNC_S2001 Validation failed: buckets[0].after: must be text, not a number',
    ],
    ['{"__proto__":{"buckets":[]}}', '400 PSYNC_S2001 Validation failed: body: '],
    ['{"constructor":{"prototype":{}}}', '400 PSYNC_S2001 Validation failed: body: '],
  ])('refuses the body %s', async (body, message) => {
    expect(await refused(world.post('/sync/stream', body, token))).toContain(message);
  });

  it('refuses other media types and bodies that are too large', async () => {
    expect(await refused(world.post('/sync/stream', 'a: b', token, { 'content-type': 'text/plain' }))).toMatch(
      /^415 FST_ERR_CTP_INVALID_MEDIA_TYPE/,
    );
    const huge = JSON.stringify({ client_id: 'x'.repeat(5 * 1024 * 1024) });
    expect(await refused(world.post('/sync/stream', huge, token))).toMatch(/^413 FST_ERR_CTP_BODY_TOO_LARGE/);
  });

  it('takes a request that lists a hundred thousand buckets', async () => {
    const buckets = Array.from({ length: 100_000 }, (_, index) => ({ name: `b${index}`, after: '1' }));
    const response = await world.post('/sync/stream', { buckets }, token);
    const lines = await readLines(response, completed);
    expect(JSON.stringify(lines)).not.toContain('b99999');
  });

  it('says that no sync rules are active yet', async () => {
    const empty = await another({ active: false });
    expect(await refused(empty.post('/sync/stream', {}, token))).toBe('500 PSYNC_S2302 No sync rules are active yet');
    expect(await refused(empty.request('/write-checkpoint2.json', { token }))).toMatch(/^500 PSYNC_S2302/);
    expect((await empty.request('/probes/readiness')).status).toBe(400);
    expect((await empty.request('/probes/startup')).status).toBe(400);
    expect((await empty.request('/probes/liveness')).status).toBe(200);
  });

  it('has a limit of buckets, told as JSON before the first line', async () => {
    const tight = await another({ config: { limits: { connections: 10, buckets: 1, parameterResults: 10 } } });
    expect(await refused(tight.post('/sync/stream', {}, token))).toBe(
      '500 PSYNC_S2305 Too many buckets: 2, the limit is 1 (g: 1, own: 1)',
    );
  });

  it('has a limit of connections, and forgets those that have gone', async () => {
    const small = await another({ config: { limits: { connections: 2, buckets: 10, parameterResults: 10 } } });
    const open = await Promise.all([1, 2].map(() => small.post('/sync/stream', {}, token)));
    const third = await small.post('/sync/stream', {}, token);
    expect(third.headers.get('retry-after')).toBe('5');
    expect(await refused(third)).toMatch(/^429 PSYNC_S2304/);
    for (const response of open) await response.body?.cancel();
    await until(async () => (await connected(small)) === 0);
    const again = await small.post('/sync/stream', {}, token);
    expect(again.status).toBe(200);
    await again.body?.cancel();
  });

  it('ends when its token does, and says so first', async () => {
    const short = await tokenOf('ann', { seconds: 2 });
    const response = await world.post('/sync/stream', {}, short);
    const lines = await readLines(response, () => false);
    expect(lines.at(-1)).toEqual({ token_expires_in: 0 });
  });

  it('closes clients that stop reading, and holds little for them meanwhile', async () => {
    let stalled: (() => void) | null = null;
    let passedMs = 0;
    const clock = {
      ...systemClock,
      monotonic: () => systemClock.monotonic() + passedMs,
      timer: (ms: number, callback: () => void) => {
        if (ms === 30_000) stalled = callback;
        return systemClock.timer(ms, callback);
      },
    };
    const slow = await another({ clock });
    const data = JSON.stringify({ id: 'x', value: 'y'.repeat(50_000) });
    await slow.commit(Array.from({ length: 400 }, (_, index) => ({ bucket: 'g[]', id: `${index}`, data })));
    const socket = rawStream(slow.url, token);
    socket.pause();
    await until(async () => (await activity(slow)).blocked === 1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    passedMs = 30_000;
    (stalled as (() => void) | null)?.();
    await until(async () => (await connected(slow)) === 0);
    const status = (await (await slow.request('/api/status', { token: OPERATOR })).json()) as {
      clients: { totals: { evicted: number; bytes: number } };
    };
    expect(status.clients.totals.evicted).toBe(1);
    expect(status.clients.totals.bytes).toBeLessThan(15_000_000);
    socket.destroy();
  });

  it('survives clients that leave at any moment, and keeps nothing of them', async () => {
    const busy = await another({ config: { limits: { connections: 500, buckets: 10, parameterResults: 10 } } });
    const data = JSON.stringify({ id: 'x', value: 'y'.repeat(2_000) });
    await busy.commit(Array.from({ length: 2_000 }, (_, index) => ({ bucket: 'g[]', id: `${index}`, data })));
    let position = 0;
    const leaving = Array.from({ length: 300 }, async (_, index) => {
      await new Promise((resolve) => setTimeout(resolve, index * 3));
      const socket = rawStream(busy.url, token, index % 2 === 0 ? 'gzip' : 'identity');
      socket.on('error', () => {});
      if (index % 20 === 0) void busy.commit([{ bucket: 'g[]', id: `n${position++}`, data }]);
      await new Promise((resolve) => setTimeout(resolve, (index * 7) % 60));
      if (index % 3 === 0) socket.resetAndDestroy();
      else socket.destroy();
    });
    await Promise.all(leaving);
    await until(async () => (await connected(busy)) === 0);
    expect(completed(await readLines(await busy.post('/sync/stream', {}, token), completed))).toBe(true);
  });

  it('ends streams in order at shutdown, and refuses new ones', async () => {
    const dying = await another({});
    const response = await dying.post('/sync/stream', {}, token);
    let isCurrent = () => {};
    const current = new Promise<void>((resolve) => {
      isCurrent = resolve;
    });
    const lines = readLines(response, (read) => {
      if (completed(read)) isCurrent();
      return false;
    });
    await current;
    const stopped = dying.stop();
    // An end without an error: a client comes back at once, and to another process if there is one.
    expect(completed(await lines)).toBe(true);
    await stopped;
    await expect(dying.post('/sync/stream', {}, token)).rejects.toThrow();
  });
});

function rawStream(url: string, jwt: string, encoding = 'identity'): Socket {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.write(
    `POST /sync/stream HTTP/1.1\r\nhost: x\r\nauthorization: Token ${jwt}\r\ncontent-type: application/json\r\naccept-encoding: ${encoding}\r\ncontent-length: 2\r\n\r\n{}`,
  );
  return socket;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 500; turn++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('the condition was not reached');
}

async function clientsOf(of: HttpWorld): Promise<{ connected: number; byActivity: Record<string, number> }> {
  const response = await of.request('/api/status', { token: OPERATOR });
  return ((await response.json()) as { clients: { connected: number; byActivity: Record<string, number> } }).clients;
}

async function connected(of: HttpWorld): Promise<number> {
  return (await clientsOf(of)).connected;
}

async function activity(of: HttpWorld): Promise<Record<string, number>> {
  return (await clientsOf(of)).byActivity;
}

describe('write checkpoints', () => {
  it('count per user and client', async () => {
    const get = async (path: string) => (await world.request(path, { token })).json();
    expect(await get('/write-checkpoint2.json?client_id=c1')).toEqual({ data: { write_checkpoint: '1' } });
    expect(await get('/write-checkpoint2.json?client_id=c1')).toEqual({ data: { write_checkpoint: '2' } });
    expect(await get('/write-checkpoint2.json?client_id=c2')).toEqual({ data: { write_checkpoint: '1' } });
    expect(await get('/write-checkpoint2.json')).toEqual({ data: { write_checkpoint: '1' } });
  });

  it('are counted by the client where it wants to', async () => {
    const ask = async (id: unknown) =>
      (await world.post('/sync/checkpoint-request', { client_id: 'c9', checkpoint_request_id: id }, token)).json();
    expect(await ask('42')).toEqual({ data: { checkpoint_request_id: '42' } });
    expect(await ask(7)).toEqual({ data: { checkpoint_request_id: '42' } });
    expect(
      await refused(world.post('/sync/checkpoint-request', { client_id: 'c9', checkpoint_request_id: 0 }, token)),
    ).toBe('400 PSYNC_S2001 Validation failed: checkpoint_request_id: must be between 1 and 9223372036854775807');
    expect(await refused(world.post('/sync/checkpoint-request', { checkpoint_request_id: 1 }, token))).toContain(
      'client_id: must be text',
    );
  });

  it('reach the stream of that client', async () => {
    const { data } = (await (await world.request('/write-checkpoint2.json?client_id=c3', { token })).json()) as {
      data: { write_checkpoint: string };
    };
    const lines = await readLines(await world.post('/sync/stream', { client_id: 'c3' }, token), completed);
    expect(lines[0]).toMatchObject({ checkpoint: { write_checkpoint: data.write_checkpoint } });
  });

  it('need a token, one client, and a source that answers', async () => {
    expect(await refused(world.request('/write-checkpoint2.json'))).toMatch(/^401 PSYNC_S2106/);
    expect(await refused(world.request('/write-checkpoint2.json?client_id=a&client_id=b', { token }))).toBe(
      '400 PSYNC_S2001 Validation failed: client_id: must be given once',
    );
    world.failSource(new SluiceError('PSYNC_S1121', 'the source is away'));
    expect(await refused(world.request('/write-checkpoint2.json', { token }))).toBe(
      '500 PSYNC_S1121 the source is away',
    );
    world.failSource(new Error('a canary of an unexpected error'));
    expect(await refused(world.request('/write-checkpoint2.json', { token }))).toBe('500 PSYNC_S2001 Internal error');
    world.failSource(null);
  });
});

describe('operators', () => {
  const yaml = { 'content-type': 'application/yaml' };

  it.each(['/api/status', '/api/sync-rules/v1/current'])('need their token for %s', async (path) => {
    expect(await refused(world.request(path))).toMatch(/^401 PSYNC_S2106/);
    expect(await refused(world.request(path, { token: `${OPERATOR}x` }))).toBe(
      '401 PSYNC_S2101 the operator token is not one of api.tokens',
    );
    expect(await refused(world.request(path, { token }))).toMatch(/^401 PSYNC_S2101/);
    const response = await world.request(path, { token: OPERATOR });
    expect(response.status).toBe(200);
    expect(response.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('have no way in without configured tokens', async () => {
    const closed = await another({ config: { api: { tokens: [] } } });
    expect(await refused(closed.request('/api/status', { token: OPERATOR }))).toMatch(/^401 PSYNC_S2101/);
    expect(await refused(closed.request('/api/status', { token: '' }))).toMatch(/^401 PSYNC_S2106/);
  });

  it('check rules without deploying them', async () => {
    const validate = async (text: string) =>
      (await world.post('/api/sync-rules/v1/validate', text, OPERATOR, yaml)).json() as Promise<
        Record<string, unknown>
      >;
    expect(await validate(RULES)).toMatchObject({ valid: true, bucket_definitions: [{ name: 'g' }, { name: 'own' }] });
    const bad = await validate(RULES.replace('SELECT id, value FROM t', 'SELECT id FORM t'));
    expect(bad.valid).toBe(false);
    expect(String(bad.errors)).toMatch(/^rules:4:\d+: /);
    const asJson = await world.post('/api/sync-rules/v1/validate', { content: RULES }, OPERATOR);
    expect(await asJson.json()).toMatchObject({ valid: true });
    expect(await refused(world.post('/api/sync-rules/v1/validate', {}, OPERATOR))).toMatch(
      /^400 PSYNC_S2001 .*content/,
    );
  });

  it('deploy, one at a time, and not over a configuration that fixes the rules', async () => {
    const open = await another({});
    const deploy = (text: string) => open.post('/api/sync-rules/v1/deploy', text, OPERATOR, yaml);
    expect(await refused(deploy('bucket_definitions: 7'))).toMatch(/^422 PSYNC_R0001/);
    expect((await deploy(RULES.replace('own', 'mine'))).status).toBe(200);
    const current = (await (await open.request('/api/sync-rules/v1/current', { token: OPERATOR })).json()) as {
      data: Record<string, { content: string }>;
    };
    expect(current.data.current?.content).toBe(RULES);
    expect(current.data.next?.content).toContain('mine');
    expect(await refused(open.post('/api/sync-rules/v1/reprocess', {}, OPERATOR))).toMatch(/^409 PSYNC_S4106/);
    const fixed = await another({ config: { syncRules: { content: RULES, name: 'x' } } });
    expect(await refused(fixed.post('/api/sync-rules/v1/deploy', RULES, OPERATOR, yaml))).toMatch(/^422 PSYNC_S4105/);
    const empty = await another({ active: false });
    expect(await refused(empty.post('/api/sync-rules/v1/reprocess', {}, OPERATOR))).toMatch(/^422 PSYNC_S4104/);
    expect(await refused(empty.request('/api/sync-rules/v1/current', { token: OPERATOR }))).toMatch(/^422 PSYNC_S4104/);
  });

  it('deploy nothing by an edit of comments', async () => {
    const open = await another({});
    const deploy = (text: string) => open.post('/api/sync-rules/v1/deploy', text, OPERATOR, yaml);
    expect((await deploy(`# a comment\n${RULES}\n# and another\n`)).status).toBe(200);
    expect(await open.storage.listStreams()).toHaveLength(1);
    // A stream in trouble is what a deploy is for.
    await open.storage.reportError(1, { code: 'PSYNC_S1146', message: 'the slot is lost', atMs: 0 });
    expect((await deploy(RULES)).status).toBe(200);
    expect(await open.storage.listStreams()).toHaveLength(2);
  });

  it('say how tables are to be copied, and see what was said', async () => {
    const open = await another({});
    const order = (path: string, body: unknown, token: string | null = OPERATOR) =>
      open.post(`/api/snapshot/v1/${path}`, body, token);
    const said = async () => {
      const response = await open.request('/api/snapshot/v1/control', { token: OPERATOR });
      return ((await response.json()) as { data: { control: object } }).data.control;
    };
    for (const path of ['pause', 'resume', 'cancel', 'priority', 'concurrency'])
      expect(await refused(order(path, {}, 'guessed'))).toMatch(/^401 PSYNC_S2101/);
    expect((await order('pause', {})).status).toBe(200);
    expect((await order('concurrency', { concurrency: 8 })).status).toBe(200);
    expect((await order('priority', { table: 'public.t', priority: 7 })).status).toBe(200);
    expect((await order('pause', { table: 'public.t' })).status).toBe(200);
    const hold = { kind: 'paused', atMs: expect.any(Number) };
    expect(await said()).toMatchObject({ paused: true, concurrency: 8, tables: { 'public.t': { priority: 7, hold } } });
    await order('concurrency', { concurrency: null });
    await order('resume', {});
    expect(await said()).toMatchObject({
      paused: false,
      concurrency: null,
      tables: { 'public.t': { priority: 7, hold: null } },
    });
    await order('cancel', { table: 'public.t' });
    expect(await said()).toMatchObject({ tables: { 'public.t': { hold: { kind: 'cancelled' } } } });
    expect(await refused(order('pause', { table: 'public.u' }))).toMatch(/^400 PSYNC_S2001 .*public\.t/);
    expect(await refused(order('pause', { tabel: 'public.t' }))).toMatch(/^400 PSYNC_S2001/);
    expect(await refused(order('priority', { table: 'public.t' }))).toMatch(/^400 PSYNC_S2001 .*priority/);
    expect(await refused(order('concurrency', { concurrency: 0 }))).toMatch(/^400 PSYNC_S2001 .*concurrency/);
    expect(await refused(order('concurrency', {}))).toMatch(/^400 PSYNC_S2001 .*concurrency/);
    expect(await refused(order('pause', { stream: 99 }))).toMatch(/^422 PSYNC_S4104/);
  });

  it('have a page without anything from elsewhere, and nothing in it before they say who they are', async () => {
    const response = await world.request('/status');
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(response.headers.get('content-security-policy')).toMatch(
      /^default-src 'none'; .*script-src 'sha256-.{44}'; style-src 'sha256-.{44}';/,
    );
    const page = await response.text();
    expect(page).not.toMatch(/https?:|innerHTML|src=/);
    const script = /<script>([^]*)<\/script>/.exec(page)?.[1] ?? '';
    expect(() => new Script(script)).not.toThrow();
  });

  it('see what is going on', async () => {
    const response = await world.request('/api/status', { token: OPERATOR });
    expect(await response.json()).toMatchObject({
      service: { version: '0.0.0-test', role: 'serve', ready: true },
      streams: [
        {
          id: 1,
          lifecycle: 'active',
          gates: { snapshot: { open: true }, closed: null },
          tables: [{ name: 't', snapshot: 'done' }],
        },
      ],
      clients: { max: 100 },
    });
  });
});

describe('everything else', () => {
  it.each([
    ['GET', '/sync/stream'],
    ['POST', '/sync/streams'],
    ['GET', '/'],
    ['GET', '/write-checkpoint.json'],
    ['DELETE', '/api/status'],
    ['GET', '/../../etc/passwd'],
  ])('%s %s is not there', async (method, path) => {
    expect(await refused(world.request(path, { method, token }))).toMatch(/^404 PSYNC_S2002 no route/);
  });

  it('lets browsers ask first', async () => {
    const response = await world.request('/sync/stream', {
      method: 'OPTIONS',
      headers: {
        origin: 'https://app.example.org',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,x-user-agent',
      },
    });
    expect(response.status).toBe(204);
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    expect(response.headers.get('access-control-allow-headers')).toBe(
      'Content-Type, Authorization, User-Agent, X-User-Agent',
    );
    expect(response.headers.get('access-control-max-age')).toBe('3600');
    expect(
      (await world.request('/api/status', { method: 'OPTIONS' })).headers.get('access-control-allow-origin'),
    ).toBeNull();
  });

  it('tells browsers of errors, too', async () => {
    expect((await world.post('/sync/stream', {}, null)).headers.get('access-control-allow-origin')).toBe('*');
  });
});
