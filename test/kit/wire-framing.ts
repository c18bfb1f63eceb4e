/** Cuts a response body into lines, however the network cut it into parts. */
import { deserialize } from 'bson';

export type Framing = 'bson' | 'ndjson';

type Line = Readonly<Record<string, unknown>>;

/** Collects parts and hands out runs of bytes, joining each byte once. */
class ByteQueue {
  #parts: Buffer[] = [];
  #length = 0;

  push(part: Buffer): void {
    this.#parts.push(part);
    this.#length += part.length;
  }

  get length(): number {
    return this.#length;
  }

  #joined(): Buffer {
    const bytes = this.#parts.length === 1 ? (this.#parts[0] as Buffer) : Buffer.concat(this.#parts, this.#length);
    this.#parts = [bytes];
    return bytes;
  }

  int32(): number {
    let head = this.#parts[0] as Buffer;
    if (head.length < 4) head = this.#joined();
    return head.readInt32LE(0);
  }

  take(length: number): Buffer {
    const bytes = this.#joined();
    this.#parts = length === bytes.length ? [] : [bytes.subarray(length)];
    this.#length -= length;
    return bytes.subarray(0, length);
  }
}

export async function* readBsonDocuments(body: AsyncIterable<unknown>): AsyncGenerator<Line> {
  const queue = new ByteQueue();
  for await (const part of body) {
    queue.push(part as Buffer);
    while (queue.length >= 4) {
      const length = queue.int32();
      if (length < 5) throw new Error(`a BSON document of ${length} bytes`);
      if (queue.length < length) break;
      yield deserialize(queue.take(length), { promoteLongs: true });
    }
  }
  if (queue.length > 0) throw new Error('the response ended in mid-document');
}

export async function* readJsonLines(body: AsyncIterable<unknown>): AsyncGenerator<Line> {
  let pending: Buffer[] = [];
  for await (const part of body) {
    let rest = part as Buffer;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      pending.push(rest.subarray(0, end));
      const text = Buffer.concat(pending).toString().trim();
      pending = [];
      rest = rest.subarray(end + 1);
      if (text !== '') yield JSON.parse(text) as Line;
    }
    if (rest.length > 0) pending.push(rest);
  }
  if (pending.length > 0) throw new Error('the response ended in mid-line');
}
