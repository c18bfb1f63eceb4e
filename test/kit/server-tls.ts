/** Certificates of a throwaway authority, and the settings of a server that has one: for tests of TLS. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findRunAs } from '../../service/src/dev/postgres-binaries.ts';

/** Certificates are made with it; without it these tests are skipped. */
export const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

const NEW_KEY = ['-newkey', 'rsa:2048', '-nodes'];

export class ServerTls {
  /** Of the authority, of another one, and of the server for the host name localhost alone. */
  readonly authority: string;
  readonly otherAuthority: string;
  /** For `startPostgres`. */
  readonly settings: Readonly<Record<string, string>>;
  readonly #directory: string;

  private constructor(directory: string) {
    const file = (name: string) => join(directory, name);
    this.#directory = directory;
    this.authority = file('ca.crt');
    this.otherAuthority = file('other.crt');
    this.settings = { ssl: 'on', ssl_cert_file: file('server.crt'), ssl_key_file: file('server.key') };
  }

  static async make(): Promise<ServerTls> {
    const directory = mkdtempSync(join(tmpdir(), 'sluice-tls-'));
    const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' });
    const authority = (name: string) =>
      openssl('req', '-x509', ...NEW_KEY, '-keyout', `${name}.key`, '-out', `${name}.crt`, '-subj', `/CN=${name}`);
    authority('ca');
    authority('other');
    openssl('req', ...NEW_KEY, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost');
    const signed = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2'];
    openssl('x509', '-req', '-in', 'server.csr', ...signed, '-out', 'server.crt');
    // The server wants a key that belongs to it and to nobody else.
    const { uid, gid } = await findRunAs();
    const key = join(directory, 'server.key');
    if (uid !== undefined) chownSync(key, uid, gid ?? uid);
    chmodSync(key, 0o600);
    chmodSync(directory, 0o755);
    return new ServerTls(directory);
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
