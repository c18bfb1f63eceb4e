/** Probes for supervisors and load balancers. What they say is proven against the source; see `status/progress-watch.ts`. */
import type { Clock } from '@sluice/core';
import type { FastifyInstance } from 'fastify';
import type { Verdict } from '../../status/progress-watch.ts';

export interface ProbePorts {
  readonly verdict: () => Verdict;
  readonly clock: Clock;
}

export function probeRoutes(app: FastifyInstance, { verdict, clock }: ProbePorts): void {
  const body = ({ ready, started, reason, touchedAtMs }: Verdict) => ({
    ready,
    started,
    touched_at: new Date(touchedAtMs ?? clock.now()).toISOString(),
    reason,
  });
  app.get('/probes/startup', async (_, reply) => {
    const now = verdict();
    return reply.code(now.started ? 200 : 400).send(body(now));
  });
  // That this answers is the proof: the event loop turns. What a restart cannot mend must not cause one.
  app.get('/probes/liveness', async (_, reply) => reply.code(200).send(body(verdict())));
  app.get('/probes/readiness', async (_, reply) => {
    const now = verdict();
    return reply.code(now.ready ? 200 : 400).send(body(now));
  });
}
