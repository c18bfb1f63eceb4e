/** Where a command finds the service: told, or from the development server of the folder. */
import { SluiceError } from '@sluice/core';
import { readDevFile } from '../dev/dev-file.ts';

export interface ServerAddress {
  readonly url: string;
  readonly token: string;
}

export function serverAddress(
  options: { readonly url?: string; readonly token?: string },
  which: 'token' | 'admin_token',
): ServerAddress {
  const file = readDevFile(process.cwd());
  const url = options.url ?? file?.url;
  const token = options.token ?? (options.url === undefined ? file?.[which] : undefined);
  if (url !== undefined && token !== undefined) return { url: url.replace(/\/+$/, ''), token };
  const missing = url === undefined ? '--url' : '--token';
  throw new SluiceError('SLU_C0001', `${missing} is not given, and no development server was started in this folder`, {
    hint: `Give --url and --token, or run \`npm start\` first.`,
  });
}
