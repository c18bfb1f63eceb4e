import { describe, expect, it } from 'vitest';
import { resolveSettings } from './config.ts';

const whole = { uri: 'postgresql://ann:p%40ss@db.example:5433/shop' };

describe('source settings', () => {
  it('take the parts of the URI, decoded', () => {
    expect(resolveSettings(whole).client).toMatchObject({
      host: 'db.example',
      port: 5433,
      user: 'ann',
      password: 'p@ss',
      database: 'shop',
    });
  });

  it('prefer single fields', () => {
    expect(resolveSettings({ ...whole, database: 'other', port: 6000 }).client).toMatchObject({
      database: 'other',
      port: 6000,
    });
  });

  it('verify certificates and host names unless told otherwise, whatever the URI says', () => {
    const uri = `${whole.uri}?sslmode=disable`;
    expect(resolveSettings({ uri }).client.ssl).toEqual({ rejectUnauthorized: true });
    expect(resolveSettings({ uri, sslmode: 'disable' }).client.ssl).toBe(false);
    const cacert = '-----BEGIN CERTIFICATE-----';
    expect(resolveSettings({ uri, sslmode: 'verify-ca', cacert }).client.ssl).toMatchObject({
      rejectUnauthorized: true,
      ca: cacert,
      checkServerIdentity: expect.any(Function),
    });
  });

  it.each([
    ['PSYNC_S1109', { uri: 'not a uri' }],
    ['PSYNC_S1109', { uri: 'postgresql://a:100%@c/d' }],
    ['PSYNC_S1109', { uri: 'mysql://a:b@c/d' }],
    ['PSYNC_S1105', { uri: 'postgresql://a:b@c' }],
    ['PSYNC_S1106', { username: 'a', password: 'b', database: 'd' }],
    ['PSYNC_S1107', { hostname: 'c', password: 'b', database: 'd' }],
    ['PSYNC_S1108', { hostname: 'c', username: 'a', database: 'd' }],
    ['PSYNC_S1110', { ...whole, port: 80 }],
    ['PSYNC_S1104', { ...whole, sslmode: 'verify-ca' as const }],
    ['PSYNC_S1104', { ...whole, cacert: '/nowhere/ca.pem' }],
    ['SLU_C0003', { ...whole, slotName: 'Not A Slot' }],
  ])('refuse with %s', (code, config) => {
    expect(() => resolveSettings(config)).toThrowError(expect.objectContaining({ code }));
  });
});
