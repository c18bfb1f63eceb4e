/** `sluice status`: the status document as a page of text. */
import { asSluiceError, SluiceError, systemClock } from '@sluice/core';
import type { StatusDocument } from '../status/model.ts';
import { statusText } from '../status/text.ts';
import { serverAddress, type ServerAddress } from './server-address.ts';

export interface StatusOptions {
  readonly url?: string;
  readonly token?: string;
  readonly json?: boolean;
  readonly watch?: boolean;
}

const WATCH_MS = 1_000;

/** @returns 0 if the service is ready, 1 if not */
export async function status(options: StatusOptions): Promise<number> {
  const address = serverAddress(options, 'admin_token');
  const text = (document: StatusDocument) =>
    options.json === true ? `${JSON.stringify(document, null, 2)}\n` : statusText(document);
  if (options.watch === true) return watch(address, text);
  const document = await fetchStatus(address);
  process.stdout.write(text(document));
  return document.service.ready ? 0 : 1;
}

/** Until interrupted. A service that is being restarted is waited for. */
async function watch(address: ServerAddress, text: (document: StatusDocument) => string): Promise<never> {
  for (;;) {
    const page = await fetchStatus(address).then(text, (error: unknown) => `${asSluiceError(error).describe()}\n`);
    // From the top, each line cleared to its end, and what is below: redrawn in place, it does not flicker.
    if (process.stdout.isTTY) process.stdout.write(`\u001b[H${page.replaceAll('\n', '\u001b[K\n')}\u001b[J`);
    else process.stdout.write(page);
    await systemClock.sleep(WATCH_MS);
  }
}

async function fetchStatus({ url, token }: ServerAddress): Promise<StatusDocument> {
  let response: Response;
  try {
    response = await fetch(`${url}/api/status`, { headers: { authorization: `Token ${token}` } });
  } catch (cause) {
    throw new SluiceError('SLU_C0009', `nobody answers at ${url}`, { cause });
  }
  if (response.ok) return (await response.json()) as StatusDocument;
  throw new SluiceError(
    'SLU_C0009',
    `${url} answered with status ${response.status}: ${(await response.text()).slice(0, 300)}`,
  );
}
