/** `--claim` of `sluice token`. */

/** For commander: `--claim org=1 --claim name=ann`. */
export function collectClaims(pair: string, before: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const at = pair.indexOf('=');
  const name = at < 0 ? pair : pair.slice(0, at);
  const value = at < 0 ? 'true' : pair.slice(at + 1);
  return { ...before, [name]: jsonOrText(value) };
}

function jsonOrText(value: string): unknown {
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return value;
  }
}
