/** The limit of every copy: `COPY … TO STDOUT` read in this process and thrown away. */
import pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';

export interface Drained {
  readonly bytes: number;
  readonly seconds: number;
}

export async function drainCopy(uri: string, table: string): Promise<Drained> {
  const client = new pg.Client(uri);
  await client.connect();
  try {
    const startedAt = performance.now();
    let bytes = 0;
    for await (const chunk of client.query(copyTo(`COPY ${table} TO STDOUT`))) bytes += (chunk as Buffer).length;
    return { bytes, seconds: (performance.now() - startedAt) / 1000 };
  } finally {
    await client.end();
  }
}
