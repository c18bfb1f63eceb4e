/** Operators' tokens: fixed texts of the configuration, compared in constant time. */
import { createHash, timingSafeEqual } from 'node:crypto';

export type ApiTokenCheck = (token: string) => boolean;

/** Without configured tokens, none is right. */
export function apiTokenCheck(tokens: readonly string[]): ApiTokenCheck {
  const digests = tokens.map(digest);
  return (token) => {
    const given = digest(token);
    let right = false;
    // All are compared, so that time does not tell which one was near.
    for (const each of digests) right = timingSafeEqual(each, given) || right;
    return right;
  };
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
