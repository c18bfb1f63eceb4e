/**
 * Where a database server is and how it is spoken to, as every configuration says it: a URI, single keys that win over
 * its parts, and TLS that is verified unless told otherwise. Which error a part makes is its module's business.
 */
import { readFileSync } from 'node:fs';
import type { SluiceError } from './errors.ts';

export interface ServerKeys {
  /** `scheme://user:password@host:port/database`; the single fields below win over its parts. */
  readonly uri?: string;
  /** Host name, address, or the directory of a unix socket. */
  readonly hostname?: string;
  readonly port?: number;
  readonly username?: string;
  readonly password?: string;
  readonly database?: string;
  /** Default `verify-full`. Cannot be set by the URI. */
  readonly sslmode?: 'verify-full' | 'verify-ca' | 'disable';
  /** PEM text, or the path of a PEM file, of the authority that signed the server's certificate. */
  readonly cacert?: string;
  readonly clientCertificate?: string;
  readonly clientPrivateKey?: string;
}

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** As `node:tls` takes it. */
  readonly ssl: false | ServerTls;
}

interface ServerTls {
  readonly rejectUnauthorized: true;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly checkServerIdentity?: () => undefined;
}

export type AddressPart = 'uri' | 'hostname' | 'port' | 'username' | 'password' | 'database' | 'tls';

export interface AddressRules {
  /** Of URIs, without the colon. */
  readonly schemes: readonly string[];
  readonly defaultPort: number;
  readonly portMin: number;
  /** @returns the error that is thrown */
  refuse(part: AddressPart, problem: string, cause?: unknown): SluiceError;
}

/** @throws what `refuse` makes of the first part that is missing or wrong */
export function serverAddress(keys: ServerKeys, rules: AddressRules): ServerAddress {
  const parts = { ...(keys.uri === undefined ? {} : uriParts(keys.uri, rules)), ...given(keys) };
  const required = (part: 'hostname' | 'username' | 'password' | 'database') => {
    const value = parts[part];
    if (value === undefined || (value === '' && part !== 'password')) throw rules.refuse(part, `there is no ${part}`);
    return value;
  };
  const port = parts.port ?? rules.defaultPort;
  const address = {
    database: required('database'),
    host: required('hostname'),
    user: required('username'),
    password: required('password'),
    port,
  };
  if (!Number.isInteger(port) || port < rules.portMin || port > 65_535) {
    throw rules.refuse('port', `${port} is not a port between ${rules.portMin} and 65535`);
  }
  return { ...address, ssl: tls(keys, rules) };
}

type Parts = Pick<ServerKeys, 'hostname' | 'port' | 'username' | 'password' | 'database'>;

function given({ hostname, port, username, password, database }: ServerKeys): Parts {
  return {
    ...(hostname === undefined ? {} : { hostname }),
    ...(port === undefined ? {} : { port }),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(database === undefined ? {} : { database }),
  };
}

function uriParts(uri: string, { schemes, refuse }: AddressRules): Parts {
  const decoded = <T>(decode: () => T): T => {
    try {
      return decode();
    } catch (cause) {
      throw refuse('uri', 'the URI cannot be parsed', cause);
    }
  };
  const url = decoded(() => new URL(uri));
  if (!schemes.includes(url.protocol.slice(0, -1))) throw refuse('uri', `the URI begins with ${url.protocol}`);
  const text = (part: string) => decoded(() => decodeURIComponent(part));
  return {
    ...(url.hostname === '' ? {} : { hostname: text(url.hostname).replace(/^\[|\]$/g, '') }),
    ...(url.port === '' ? {} : { port: Number(url.port) }),
    ...(url.username === '' ? {} : { username: text(url.username) }),
    ...(url.password === '' ? {} : { password: text(url.password) }),
    ...(url.pathname.length < 2 ? {} : { database: text(url.pathname.slice(1)) }),
  };
}

function tls(keys: ServerKeys, rules: AddressRules): ServerAddress['ssl'] {
  const mode = keys.sslmode ?? 'verify-full';
  if (mode === 'disable') return false;
  const pem = (textOrPath: string) => readPem(textOrPath, rules);
  if (mode === 'verify-ca' && keys.cacert === undefined) throw rules.refuse('tls', 'sslmode verify-ca needs a cacert');
  return {
    rejectUnauthorized: true,
    ...(keys.cacert === undefined ? {} : { ca: pem(keys.cacert) }),
    ...(keys.clientCertificate === undefined ? {} : { cert: pem(keys.clientCertificate) }),
    ...(keys.clientPrivateKey === undefined ? {} : { key: pem(keys.clientPrivateKey) }),
    ...(mode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
  };
}

function readPem(textOrPath: string, { refuse }: AddressRules): string {
  if (textOrPath.includes('-----BEGIN')) return textOrPath;
  try {
    return readFileSync(textOrPath, 'utf8');
  } catch (cause) {
    throw refuse('tls', `the certificate file ${textOrPath} cannot be read`, cause);
  }
}
