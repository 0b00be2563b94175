import { afterEach, describe, expect, it } from '@jest/globals';
import type { Simulator } from '../../simulator/simulator.ts';
import { call, closeAll, get, json, login, start } from './client.ts';

afterEach(closeAll);

const EVENT = '/delivery/api/v1/events/evt-0001';

async function startLoggedIn(email?: string): Promise<{ simulator: Simulator; access: string }> {
  const simulator = await start();
  return { simulator, access: (await login(simulator, email)).access };
}

describe('events', () => {
  it('answers one event with every documented member, in about 700 bytes', async () => {
    const { simulator, access } = await startLoggedIn();
    const reply = await get(simulator, EVENT, access);
    expect(reply.status).toBe(200);
    expect(Object.keys(json(reply)).sort().join()).toBe(
      'created_at,description,event_id,event_type,exchange,figis,headline,occurred_at,securities,sentiment,source,symbol,title,updated_at',
    );
    expect(Object.keys(json(reply).securities[0]).sort().join()).toBe(
      'figi,figi_composite,figi_share_class,isin,mic_code,name,refinitiv_exch_code,symbol',
    );
    expect(reply.body.byteLength).toBeGreaterThan(660);
    expect(reply.body.byteLength).toBeLessThan(740);
  });

  it('answers 304 to the ETag it gave', async () => {
    const { simulator, access } = await startLoggedIn();
    const etag = String((await get(simulator, EVENT, access)).headers.etag);
    const headers = { Authorization: `Bearer ${access}`, 'If-None-Match': etag };
    const reply = await call(`${simulator.url}${EVENT}`, { headers });
    expect([reply.status, reply.text]).toEqual([304, '']);
  });

  it('answers HEAD like GET, without the body', async () => {
    const { simulator, access } = await startLoggedIn();
    const reply = await call(`${simulator.url}${EVENT}`, {
      method: 'HEAD',
      headers: { Authorization: `Bearer ${access}` },
    });
    expect([reply.status, reply.text]).toEqual([200, '']);
    expect(Number(reply.headers['content-length'])).toBeGreaterThan(600);
  });

  it('lists events by limit, offset, sort, symbol and date', async () => {
    const { simulator, access } = await startLoggedIn();
    const list = async (query: string) => json(await get(simulator, `/delivery/api/v1/events${query}`, access));
    expect((await list('')).events).toHaveLength(50);
    const oldest = await list('?sort=asc&limit=2&offset=1');
    expect(oldest.events.map((event: { event_id: string }) => event.event_id)).toEqual(['evt-0002', 'evt-0003']);
    const apple = await list('?symbol=AAPL&limit=500');
    expect(apple.events).toHaveLength(apple.total);
    expect(new Set(apple.events.map((event: { symbol: string }) => event.symbol))).toEqual(new Set(['AAPL']));
    expect((await list('?date_range=2026-01-06&limit=500')).total).toBe(24);
  });

  it.each(['limit=0', 'limit=501', 'limit=x', 'offset=-1', 'sort=up', 'date_range=today'])(
    'answers 400 to the query %s',
    async (query) => {
      const { simulator, access } = await startLoggedIn();
      const reply = await get(simulator, `/delivery/api/v1/events?${query}`, access);
      expect(reply.status).toBe(400);
      expect(json(reply).error.details).toContain(query.split('=', 1)[0]);
    },
  );

  it('shows a standard user fewer events than an enterprise user', async () => {
    const { simulator, access } = await startLoggedIn();
    const standard = (await login(simulator, 'standard@finvera.test')).access;
    const restricted = '/delivery/api/v1/events/evt-0010';
    expect((await get(simulator, restricted, access)).status).toBe(200);
    expect((await get(simulator, restricted, standard)).status).toBe(403);
    expect((await get(simulator, EVENT, standard)).status).toBe(200);
    const totals = [];
    for (const token of [access, standard]) {
      totals.push(json(await get(simulator, '/delivery/api/v1/events', token)).total);
    }
    expect(totals).toEqual([400, 360]);
  });
});

describe('securities', () => {
  it('finds a security by each documented way of searching', async () => {
    const { simulator, access } = await startLoggedIn();
    for (const query of [
      'search=AAPL&search_type=symbol',
      'search=apple&search_type=name',
      'search=US0378331005&search_type=isin',
    ]) {
      const found = json(await get(simulator, `/search/api/v1/securities?${query}`, access)).securities;
      expect(found.map((security: { symbol: string }) => security.symbol)).toEqual(['AAPL']);
    }
  });

  it('answers 400 without a search, or with an unknown type', async () => {
    const { simulator, access } = await startLoggedIn();
    expect((await get(simulator, '/search/api/v1/securities', access)).status).toBe(400);
    expect((await get(simulator, '/search/api/v1/securities?search=A&search_type=x', access)).status).toBe(400);
  });
});

describe('the credential', () => {
  it('is refused when missing, unknown, expired or revoked', async () => {
    const { simulator, access } = await startLoggedIn();
    expect((await call(`${simulator.url}${EVENT}`)).status).toBe(401);
    expect((await get(simulator, EVENT, 'unknown')).status).toBe(401);
    simulator.revoke('access', 'demo@finvera.test');
    const revoked = await get(simulator, EVENT, access);
    expect(json(revoked)).toEqual({ error: { code: 401, message: 'Unauthorized', details: 'Access token revoked' } });
    const next = (await login(simulator)).access;
    simulator.advanceClock(3_600_001);
    expect((await get(simulator, EVENT, next)).status).toBe(401);
  });

  it('may be the server key, as bearer or in the query', async () => {
    const simulator = await start({ apiKey: 'sk_test' });
    expect((await get(simulator, EVENT, 'sk_test')).status).toBe(200);
    expect((await call(`${simulator.url}${EVENT}?apikey=sk_test`)).status).toBe(200);
    expect((await call(`${simulator.url}${EVENT}?apikey=sk_wrong`)).status).toBe(401);
    expect((await get(simulator, '/kms/api/v1/auth/validate', 'sk_test')).status).toBe(401);
  });

  it('is asked for before anything else, and an unknown path is a 404 in the error format', async () => {
    const { simulator, access } = await startLoggedIn();
    expect((await call(`${simulator.url}/delivery/nothing`)).status).toBe(401);
    for (const path of [
      '/delivery/nothing',
      '/kms/api/v1/keys',
      '/',
      '/kms/api/v1/auth/logout',
      '/delivery/api/v1/__other',
    ]) {
      const reply = await get(simulator, path, access);
      expect(reply.status).toBe(404);
      expect(json(reply).error.code).toBe(404);
    }
  });
});

describe('the rate limit', () => {
  it('lets a standard user make sixty data calls a minute', async () => {
    const { simulator, access } = await startLoggedIn('standard@finvera.test');
    const other = (await login(simulator, 'second@finvera.test')).access;
    for (let count = 0; count < 60; count++) expect((await get(simulator, EVENT, access)).status).toBe(200);
    simulator.advanceClock(15_000);
    const reply = await get(simulator, EVENT, access);
    expect(reply.status).toBe(429);
    expect(Number(reply.headers['retry-after'])).toBeGreaterThan(40);
    expect(Number(reply.headers['retry-after'])).toBeLessThanOrEqual(45);
    expect(json(reply)).toEqual({ error: { code: 429, message: 'Too Many Requests', details: 'Rate limit exceeded' } });
    expect((await get(simulator, EVENT, other)).status).toBe(200);
    simulator.advanceClock(45_000);
    expect((await get(simulator, EVENT, access)).status).toBe(200);
  });

  it('can be set for each tier, or be off', async () => {
    const simulator = await start({ rateLimit: 'off', enterpriseRateLimit: 1 });
    const standard = (await login(simulator, 'standard@finvera.test')).access;
    const enterprise = (await login(simulator)).access;
    for (let count = 0; count < 61; count++) expect((await get(simulator, EVENT, standard)).status).toBe(200);
    expect((await get(simulator, EVENT, enterprise)).status).toBe(200);
    expect((await get(simulator, EVENT, enterprise)).status).toBe(429);
  });
});
