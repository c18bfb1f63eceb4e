/**
 * Dates and times as Postgres writes them (ISO style) and as clients get them. Digits are cut off, never rounded.
 */
import type { TypeOptions } from './source-type.ts';

export const POSTGRES_DIGITS = 6;

export function dateText(raw: string): string {
  if (raw === 'infinity') return '9999-12-31';
  return raw === '-infinity' ? '0000-01-01' : raw;
}

export function timeText(raw: string, options: TypeOptions): string {
  if (!options.timestampsIso8601) return raw;
  const point = raw.indexOf('.');
  const [clock, fraction] = point === -1 ? [raw, ''] : [raw.slice(0, point), raw.slice(point + 1)];
  return clock + paddedFraction(fraction, options);
}

/** @returns null for years before Christ; the raw text for years after 9999 */
export function timestampText(raw: string, options: TypeOptions): string | null {
  const match = plainTimestamp(raw) ?? matchTimestamp(raw);
  if (match === null) return raw.endsWith(' BC') ? null : raw;
  return rendered(match, options);
}

/** In UTC. @returns null for years before Christ or after 9999 */
export function timestamptzText(raw: string, options: TypeOptions): string | null {
  const match = plainTimestamp(raw) ?? matchTimestamp(raw);
  if (match === null) return null;
  const offset = match.offset === '' || match.offset === '+00' ? 0 : offsetSeconds(match.offset);
  const utc = offset === 0 ? match : inUtc(match, offset);
  return utc === null ? null : `${rendered(utc, options)}Z`;
}

interface Timestamp {
  readonly date: string;
  readonly clock: string;
  /** Digits behind the point; empty for none. */
  readonly fraction: string;
  /** `+00`, `-03:30`, `+01:02:03`, or empty. */
  readonly offset: string;
}

const TIMESTAMP = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?([+-]\d\d(?::\d\d)*)?$/;

const [SPACE, DASH, POINT, ZERO, NINE] = [32, 45, 46, 48, 57];

/** Years of four digits, in UTC or without a zone: nearly all there are, at the price of a few slices. */
function plainTimestamp(raw: string): Timestamp | null {
  const end = raw.endsWith('+00') ? raw.length - 3 : raw.length;
  if (raw.charCodeAt(4) !== DASH || raw.charCodeAt(10) !== SPACE || end < 19) return null;
  if (end > 19 && raw.charCodeAt(19) !== POINT) return null;
  for (let at = 20; at < end; at++) {
    const digit = raw.charCodeAt(at);
    if (digit < ZERO || digit > NINE) return null;
  }
  return { date: raw.slice(0, 10), clock: raw.slice(11, 19), fraction: raw.slice(20, end), offset: '' };
}

function matchTimestamp(raw: string): Timestamp | null {
  if (raw === 'infinity') return { date: '9999-12-31', clock: '23:59:59', fraction: '', offset: '' };
  if (raw === '-infinity') return { date: '0000-01-01', clock: '00:00:00', fraction: '', offset: '' };
  const match = TIMESTAMP.exec(raw);
  if (match === null) return null;
  const [, date = '', clock = '', fraction = '', offset = ''] = match;
  return { date, clock, fraction, offset };
}

function rendered({ date, clock, fraction }: Timestamp, options: TypeOptions): string {
  if (options.timestampsIso8601) return `${date}T${clock}${paddedFraction(fraction, options)}`;
  return `${date} ${clock}${fraction === '' ? '' : `.${fraction}`}`;
}

function paddedFraction(fraction: string, { timestampDigitsMax }: TypeOptions): string {
  const digits = Math.min(timestampDigitsMax ?? POSTGRES_DIGITS, POSTGRES_DIGITS);
  return digits === 0 ? '' : `.${fraction.slice(0, digits).padEnd(digits, '0')}`;
}

function offsetSeconds(offset: string): number {
  const [hours = 0, minutes = 0, seconds = 0] = offset.slice(1).split(':').map(Number);
  return (hours * 3600 + minutes * 60 + seconds) * (offset.startsWith('-') ? -1 : 1);
}

function inUtc(time: Timestamp, offset: number): Timestamp | null {
  const local = Date.parse(`${time.date}T${time.clock}Z`);
  const iso = new Date(local - offset * 1000).toISOString();
  if (iso.length !== 24) return null; // Years outside 0000-9999 have a sign.
  return { ...time, date: iso.slice(0, 10), clock: iso.slice(11, 19) };
}
