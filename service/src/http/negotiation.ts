/** What a request's headers ask of a streaming response. */
import { BSON_CONTENT_TYPE, NDJSON_CONTENT_TYPE } from '@sluice/sync';

interface Preference {
  readonly name: string;
  readonly quality: number;
}

function preferences(header: string | undefined): Preference[] {
  if (header === undefined) return [];
  return header.split(',').map((item) => {
    const [name = '', ...parameters] = item.split(';').map((part) => part.trim());
    const quality = parameters.find((parameter) => /^q=/i.test(parameter))?.slice(2);
    return { name: name.toLowerCase(), quality: quality === undefined ? 1 : Number(quality) || 0 };
  });
}

/** BSON only where it is asked for by name, and at least as much as NDJSON; everything else gets NDJSON. */
export function prefersBson(accept: string | undefined): boolean {
  const wanted = preferences(accept);
  const bson = wanted.find(({ name }) => name === BSON_CONTENT_TYPE)?.quality ?? 0;
  const ndjson = wanted.find(({ name }) => name === NDJSON_CONTENT_TYPE)?.quality ?? 0;
  return bson > 0 && bson >= ndjson;
}

export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  const wanted = preferences(acceptEncoding);
  const gzip = wanted.find(({ name }) => name === 'gzip') ?? wanted.find(({ name }) => name === '*');
  return gzip !== undefined && gzip.quality > 0;
}
