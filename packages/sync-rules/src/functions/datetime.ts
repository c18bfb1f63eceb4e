/** Functions over points in time. None of them knows the present. */
import { isNull, toText, type Value } from '../value.ts';
import { type ScalarFunction, scalarFunction } from './scalar-function.ts';

const MODIFIERS_MAX = Number.POSITIVE_INFINITY;
const JULIAN_DAY_OF_EPOCH = 2440587.5;
const MS_PER_DAY = 86_400_000;
const MS_MAX = 8.64e15;

export const datetimeFunctions: readonly ScalarFunction[] = [
  scalarFunction(
    { name: 'datetime', args: [1, MODIFIERS_MAX], doc: "YYYY-MM-DD HH:MM:SS in UTC; with 'subsec' in milliseconds." },
    (args) => datetime(args),
  ),
  scalarFunction(
    { name: 'unixepoch', args: [1, MODIFIERS_MAX], doc: "Seconds since 1970; with 'subsec' with a fraction." },
    (args) => unixepoch(args),
  ),
];

function datetime(args: readonly Value[]): Value {
  const time = pointInTime(args);
  if (time === null) return null;
  const iso = new Date(time.ms).toISOString();
  if (iso.length !== 24) return null; // Years outside 0000-9999 have a sign.
  return iso.slice(0, time.subsecond ? 23 : 19).replace('T', ' ');
}

function unixepoch(args: readonly Value[]): Value {
  const time = pointInTime(args);
  if (time === null) return null;
  return time.subsecond ? time.ms / 1000 : BigInt(Math.floor(time.ms / 1000));
}

interface PointInTime {
  readonly ms: number;
  readonly subsecond: boolean;
}

function pointInTime([time, first, second]: readonly Value[]): PointInTime | null {
  const unix = first === 'unixepoch';
  const modifier = unix ? second : first;
  const subsecond = modifier === 'subsec' || modifier === 'subsecond';
  if (modifier !== undefined && !subsecond) return null;
  const ms = isNull(time) ? null : milliseconds(time, unix);
  return ms === null || !(Math.abs(ms) <= MS_MAX) ? null : { ms, subsecond };
}

function milliseconds(time: Value, unix: boolean): number | null {
  const number = asNumber(time);
  if (number === null) return unix ? null : parseTime(toText(time) ?? '');
  return Math.floor(unix ? number * 1000 : (number - JULIAN_DAY_OF_EPOCH) * MS_PER_DAY);
}

function asNumber(time: Value): number | null {
  if (typeof time === 'bigint' || typeof time === 'number') return Number(time);
  const text = (toText(time) ?? '').trim();
  return /^[+-]?\d+(\.\d*)?$/.test(text) ? Number(text) : null;
}

const TIME =
  /^\s*(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?\s*(?:(Z)|([+-])(\d\d):?(\d\d)?)?)?\s*$/i;

/** Text with a zone is taken as given, other text as UTC. Digits behind the millisecond are cut off. */
function parseTime(text: string): number | null {
  const match = TIME.exec(text);
  if (match === null) return null;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0)) as Numbers;
  const fraction = Number((match[7] ?? '').slice(0, 3).padEnd(3, '0'));
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 24 || minute > 59 || second > 59) return null;
  const offset = (Number(match[10] ?? 0) * 60 + Number(match[11] ?? 0)) * (match[9] === '-' ? -1 : 1);
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute - offset, second, fraction);
  return date.getTime();
}

type Numbers = [number, number, number, number, number, number];
