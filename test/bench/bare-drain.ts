/**
 * What the bench's client and this machine's sockets can do: as many bytes as a download had, from a server that does
 * nothing but write them, in a process of its own.
 */
import { spawn } from 'node:child_process';
import { downloadAll, type RawDownload } from './raw-download.ts';

/** A document of `argv[1]` bytes, `argv[2]` times, then a complete; in parts of 256 KiB, as a quick reader gets them. */
const SERVER = `
const { createServer } = require('node:http');
const [bytes, times] = process.argv.slice(1).map(Number);
const document = (name, length) => {
  const buffer = Buffer.alloc(length);
  buffer.writeInt32LE(length);
  buffer.write('\\u0003' + name + '\\0', 4, 'latin1');
  return buffer;
};
const line = document('data', bytes);
const server = createServer(async (request, response) => {
  const write = (part) => response.write(part) || new Promise((drained) => response.once('drain', drained));
  for (let sent = 0; sent < times; sent++)
    for (let at = 0; at < bytes; at += 262144) await write(line.subarray(at, at + 262144));
  response.end(document('checkpoint_complete', 64));
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
`;

export async function drainBareServer(like: Pick<RawDownload, 'bytes' | 'lines'>): Promise<RawDownload> {
  const lineBytes = Math.floor(like.bytes / like.lines);
  const server = spawn(process.execPath, ['-e', SERVER, String(lineBytes), String(like.lines)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const port = await new Promise<string>((resolve, reject) => {
      server.once('error', reject);
      server.stdout.once('data', (text: Buffer) => resolve(text.toString().trim()));
    });
    return await downloadAll({ url: `http://127.0.0.1:${port}`, token: '', format: 'bson', gzip: false });
  } finally {
    server.kill();
  }
}
