/** Who asks: a client with a JWT, or an operator with a token of the configuration. */
import { SluiceError } from '@sluice/core';
import type { Session } from '@sluice/sync';
import type { FastifyRequest } from 'fastify';
import type { ApiTokenCheck } from '../auth/api-token.ts';
import { type TokenRules, verifyToken } from '../auth/verify-token.ts';

const AUTHORIZATION = /^(?:Token|Bearer) (\S+)$/;

export class Authenticator {
  readonly #rules: TokenRules;
  readonly #isApiToken: ApiTokenCheck;

  constructor(rules: TokenRules, isApiToken: ApiTokenCheck) {
    this.#rules = rules;
    this.#isApiToken = isApiToken;
  }

  /** @throws PSYNC_S2106, and what `verifyToken` throws */
  client(request: FastifyRequest): Promise<Session> {
    return verifyToken(presented(request), this.#rules);
  }

  /** @throws PSYNC_S2106, PSYNC_S2101 */
  operator(request: FastifyRequest): void {
    if (this.#isApiToken(presented(request))) return;
    throw new SluiceError('PSYNC_S2101', 'the operator token is not one of api.tokens');
  }
}

function presented(request: FastifyRequest): string {
  const header = request.headers.authorization;
  if (header === undefined) throw new SluiceError('PSYNC_S2106', 'the Authorization header is missing');
  const token = AUTHORIZATION.exec(header)?.[1];
  if (token === undefined) {
    throw new SluiceError('PSYNC_S2106', 'the Authorization header must be "Token <jwt>" or "Bearer <jwt>"');
  }
  return token;
}
