/** The remedy that belongs to a code which was stored or sent as text. */
import { type ErrorCode, errorCodes } from '@sluice/core';

export function hintOf(code: string): string {
  return code in errorCodes ? errorCodes[code as ErrorCode].hint : '';
}
