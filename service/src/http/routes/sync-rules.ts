/** `/api/sync-rules/v1/*`: operators look at sync rules, check them and deploy them. */
import { SluiceError } from '@sluice/core';
import type { StreamInfo } from '@sluice/storage';
import type { ParsedRules } from '@sluice/sync-rules';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Deployer } from '../../deployer.ts';
import { parseRules, placeOf } from '../../rules.ts';
import type { Authenticator } from '../auth.ts';

export interface SyncRulesPorts {
  readonly deployer: Deployer;
  readonly authenticator: Authenticator;
  /** Whether the configuration names the rules: then nobody deploys others over HTTP. */
  readonly fixed: boolean;
}

export function syncRulesRoutes(app: FastifyInstance, { deployer, authenticator, fixed }: SyncRulesPorts): void {
  const operator = { onRequest: async (request: FastifyRequest) => authenticator.operator(request) };
  const refuseIfFixed = () => {
    if (fixed) throw new SluiceError('PSYNC_S4105', 'the sync rules are fixed by the configuration file');
  };

  app.post('/api/sync-rules/v1/deploy', operator, async (request) => {
    refuseIfFixed();
    const stream = await deployer.deploy(rulesText(request));
    return { data: { slot_name: slotName(stream) } };
  });

  app.post('/api/sync-rules/v1/validate', operator, async (request) => description(parseRules(rulesText(request))));

  app.get('/api/sync-rules/v1/current', operator, async () => {
    const { current, next } = await deployer.deployed();
    if (current === null && next === null) throw new SluiceError('PSYNC_S4104', 'there are no sync rules');
    return { data: { current: current && deployed(current), next: next && deployed(next) } };
  });

  app.post('/api/sync-rules/v1/reprocess', operator, async () => {
    return { data: { slot_name: slotName(await deployer.reprocess()) } };
  });
}

/** The raw YAML as the body, or `{"content": "<yaml>"}`. */
function rulesText(request: FastifyRequest): string {
  if (typeof request.body === 'string') return request.body;
  const content = (request.body as { content?: unknown } | null | undefined)?.content;
  if (typeof content === 'string') return content;
  throw new SluiceError('PSYNC_S2001', 'content: must be the YAML text of the sync rules', { where: 'content' });
}

function deployed(stream: StreamInfo): object {
  return { slot_name: slotName(stream), content: stream.rules, ...description(parseRules(stream.rules)) };
}

/** Slots are made by the source; until then, and for sources without, the stream's number stands for it. */
function slotName(stream: StreamInfo): string {
  const source = stream.source as { slot?: unknown; slotName?: unknown } | null;
  const name = source?.slot ?? source?.slotName;
  return typeof name === 'string' ? name : `stream_${stream.id}`;
}

function description({ rules, diagnostics }: ParsedRules): object {
  const texts = (severity: string) =>
    diagnostics
      .filter((each) => each.severity === severity)
      .map((each) => `${placeOf(each, 'rules')}: ${each.message} (${each.hint})`);
  if (rules === null) return { valid: false, errors: texts('fatal'), warnings: texts('warning'), diagnostics };
  return {
    valid: true,
    bucket_definitions: rules.definitions,
    source_tables: rules.tablePatterns,
    warnings: texts('warning'),
    diagnostics,
  };
}
