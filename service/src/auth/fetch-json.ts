/**
 * Fetches a small JSON document from an address that a person configured, without being led elsewhere: no redirects, a
 * bound on bytes and time, and, where told so, only public addresses, judged after the name was resolved.
 */
import { lookup as systemLookup } from 'node:dns';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';

export interface FetchBounds {
  readonly bytesMax: number;
  readonly timeoutMs: number;
  readonly localAllowed: boolean;
}

/** Rejects with an Error whose message says why, without any part of the response. */
export async function fetchJson(uri: string, bounds: FetchBounds): Promise<unknown> {
  const url = new URL(uri);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw new Error(`${url.protocol} is not supported`);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (!bounds.localAllowed && isIP(host) !== 0 && isLocal(host))
    throw new Error('a local address, and these are blocked');
  const response = await open(url, bounds);
  if (response.statusCode !== 200) {
    response.destroy();
    throw new Error(`answered with status ${response.statusCode}; redirects are not followed`);
  }
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > bounds.bytesMax) throw new Error(`answered with more than ${bounds.bytesMax} bytes`);
    parts.push(part);
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString());
  } catch {
    throw new Error('did not answer with JSON');
  }
}

function open(url: URL, bounds: FetchBounds): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(
      url,
      {
        headers: { accept: 'application/json' },
        signal: AbortSignal.timeout(bounds.timeoutMs),
        lookup: bounds.localAllowed ? systemLookup : publicLookup,
        agent: false,
      },
      resolve,
    );
    request.once('error', (error: NodeJS.ErrnoException) => {
      const slow = error.name === 'AbortError' || error.name === 'TimeoutError';
      reject(new Error(slow ? `no answer in ${bounds.timeoutMs} ms` : (error.code ?? error.message)));
    });
    request.end();
  });
}

const publicLookup: LookupFunction = (hostname, options, callback) => {
  systemLookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return callback(error, '', 0);
    const local = addresses.find(({ address }) => isLocal(address));
    if (local !== undefined) {
      return callback(new Error('the name leads to a local address, and these are blocked'), '', 0);
    }
    if (options.all === true) return callback(null, addresses);
    const [first] = addresses;
    return first === undefined ? callback(new Error('no address'), '', 0) : callback(null, first.address, first.family);
  });
};

const LOCAL_IPV4 = ['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12'];
LOCAL_IPV4.push('192.0.0.0/24', '192.168.0.0/16', '198.18.0.0/15', '224.0.0.0/3');
const LOCAL_IPV6 = ['::/127', '64:ff9b::/96', 'fc00::/7', 'fe80::/10', 'ff00::/8'];

const local = new BlockList();
for (const subnet of LOCAL_IPV4) addSubnet(subnet, 'ipv4');
for (const subnet of LOCAL_IPV6) addSubnet(subnet, 'ipv6');

function addSubnet(subnet: string, family: 'ipv4' | 'ipv6'): void {
  const [net = '', bits = ''] = subnet.split('/');
  local.addSubnet(net, Number(bits), family);
}

/** Loopback, private, link-local, shared and multicast addresses; IPv4 in IPv6 clothes included. */
export function isLocal(address: string): boolean {
  return local.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}
