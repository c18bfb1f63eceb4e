/** What an operator wants to know: `GET /api/status` as one JSON document, `GET /status` as a page that draws it. */
import { createHash } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { StatusDocument } from '../../status/model.ts';
import { statusPage } from '../../status/page.ts';
import type { Authenticator } from '../auth.ts';

/** Nothing but the page's own script and style may run, and nobody may frame it. */
const CONTENT_SECURITY =
  `default-src 'none'; connect-src 'self'; script-src ${digestOf('script')}; style-src ${digestOf('style')}; ` +
  `form-action 'none'; base-uri 'none'; frame-ancestors 'none'`;

function digestOf(tag: string): string {
  const text = new RegExp(`<${tag}>([^]*?)</${tag}>`).exec(statusPage)?.[1] ?? '';
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

export function statusRoute(
  app: FastifyInstance,
  ports: { readonly authenticator: Authenticator; readonly status: () => Promise<StatusDocument> },
): void {
  app.get('/api/status', async (request) => {
    ports.authenticator.operator(request);
    return ports.status();
  });

  app.get('/status', async (_, reply) => {
    reply.headers({
      'Content-Security-Policy': CONTENT_SECURITY,
      'Cache-Control': 'no-store',
      'Referrer-Policy': 'no-referrer',
    });
    return reply.type('text/html; charset=utf-8').send(statusPage);
  });
}
