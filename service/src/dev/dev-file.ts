/** `.sluice/dev.json`: what the development server of a folder leaves for commands that talk to it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface DevFile {
  readonly url: string;
  readonly status_url: string;
  /** A client's token, of the example user. */
  readonly token: string;
  readonly admin_token: string;
  readonly source_uri: string;
  /** HS256 secret, base64url. */
  readonly secret: string;
  readonly key_id: string;
  readonly audience: string;
  readonly postgres_password: string;
}

export const DEV_FOLDER = '.sluice';

function devFilePath(folder: string): string {
  return join(folder, DEV_FOLDER, 'dev.json');
}

/** Null if no development server was ever started in the folder. */
export function readDevFile(folder: string): Partial<DevFile> | null {
  try {
    return JSON.parse(readFileSync(devFilePath(folder), 'utf8')) as Partial<DevFile>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Readable by its owner only. */
export function writeDevFile(folder: string, file: DevFile): void {
  writeFileSync(devFilePath(folder), `${JSON.stringify(file, null, 2)}\n`, { mode: 0o600 });
}
