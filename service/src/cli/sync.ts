/**
 * `sluice sync`: a client in a terminal. It speaks NDJSON, prints rows as they come and what each checkpoint did; it keeps
 * nothing. For looking, not for building on.
 */
import { SluiceError } from '@sluice/core';
import { serverAddress } from './server-address.ts';

export interface SyncOptions {
  readonly url?: string;
  readonly token?: string;
  readonly once?: boolean;
}

interface Op {
  readonly op: string;
  readonly object_type: string;
  readonly object_id: string;
  readonly data?: string;
}

interface WireLine {
  readonly checkpoint?: {
    readonly last_op_id: string;
    readonly buckets: readonly { readonly bucket: string; readonly count: number }[];
  };
  readonly checkpoint_diff?: {
    readonly last_op_id: string;
    readonly updated_buckets: readonly object[];
    readonly removed_buckets: readonly string[];
  };
  readonly data?: { readonly bucket: string; readonly data: readonly Op[] };
  readonly checkpoint_complete?: { readonly last_op_id: string };
  readonly token_expires_in?: number;
}

export async function sync(options: SyncOptions): Promise<number> {
  const { url, token } = serverAddress(options, 'token');
  const response = await connect(url, token);
  let rest = '';
  const decoder = new TextDecoder();
  for await (const part of response.body as unknown as AsyncIterable<Uint8Array>) {
    const texts = (rest + decoder.decode(part, { stream: true })).split('\n');
    rest = texts.pop() ?? '';
    for (const text of texts) {
      if (text.trim() === '') continue;
      const line = JSON.parse(text) as WireLine;
      print(line);
      if (options.once === true && line.checkpoint_complete !== undefined) return 0;
    }
  }
  return 0;
}

async function connect(url: string, token: string): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(`${url}/sync/stream`, {
      method: 'POST',
      headers: { authorization: `Token ${token}`, 'content-type': 'application/json', accept: 'application/x-ndjson' },
      body: JSON.stringify({ buckets: [], raw_data: true }),
    });
  } catch (cause) {
    throw new SluiceError('SLU_C0009', `nobody answers at ${url}`, { cause });
  }
  if (response.ok) return response;
  throw new SluiceError(
    'SLU_C0009',
    `${url} answered with status ${response.status}: ${(await response.text()).slice(0, 300)}`,
  );
}

function print(line: WireLine): void {
  if (line.checkpoint !== undefined) {
    const { last_op_id, buckets } = line.checkpoint;
    say(`checkpoint ${last_op_id}: ${buckets.length} buckets`);
    for (const { bucket, count } of buckets) say(`  ${bucket}  ${count} ops`);
  } else if (line.checkpoint_diff !== undefined) {
    const { last_op_id, updated_buckets, removed_buckets } = line.checkpoint_diff;
    say(`checkpoint ${last_op_id}: ${updated_buckets.length} buckets changed, ${removed_buckets.length} removed`);
  } else if (line.data !== undefined) {
    for (const op of line.data.data) say(`  ${op.op.padEnd(6)} ${op.object_type}/${op.object_id} ${op.data ?? ''}`);
  } else if (line.checkpoint_complete !== undefined) {
    say(`complete ${line.checkpoint_complete.last_op_id}: change a row in the source, and it appears here`);
  } else if (line.token_expires_in !== undefined) {
    say(`(the token expires in ${line.token_expires_in} s)`);
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
