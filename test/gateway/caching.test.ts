// Shared answers, rule by rule: what is kept and for whom (RFC 9111 §3), what tells answers apart (§4.1), what ends them (§4.4).
import { request } from 'node:http';
import { afterEach, describe, expect, test } from '@jest/globals';
import {
  always,
  closeCachedScenes,
  ENTERPRISE_2,
  PATH,
  STANDARD,
  seen,
  startCachedScene,
  statusOf,
  TTL_MS,
} from '../support/cached-scene.ts';
import { expectProblem } from '../support/problem.ts';
import { until } from '../support/until.ts';

afterEach(closeCachedScenes);

describe('an answer is shared', () => {
  test('inside one tier, for as long as the route says, with its age', async () => {
    const { upstream, clock, user } = await startCachedScene({ script: always() });
    const [one, other] = [await user(), await user(ENTERPRISE_2)];
    expect(seen(await one.fetch(PATH))).toEqual([200, 'answer 1', 'finvera-gateway; fwd=uri-miss; stored', undefined]);
    clock.advance(4_000);
    expect(seen(await one.fetch(PATH))).toEqual([200, 'answer 1', 'finvera-gateway; hit; ttl=6', '4']);
    expect(seen(await other.fetch(PATH))).toEqual([200, 'answer 1', 'finvera-gateway; hit; ttl=6', '4']);
    clock.advance(6_000);
    expect(seen(await other.fetch(PATH))).toEqual([200, 'answer 2', 'finvera-gateway; fwd=stale; stored', undefined]);
    expect(upstream.requests).toHaveLength(2);
  });

  test('and never with another tier', async () => {
    const { upstream, user } = await startCachedScene({ script: always() });
    const [enterprise, standard] = [await user(), await user(STANDARD)];
    await enterprise.fetch(PATH);
    expect((await standard.fetch(PATH)).text).toBe('answer 2');
    expect((await enterprise.fetch(PATH)).text).toBe('answer 1');
    expect(upstream.requests.map(({ headers }) => headers.authorization)).toHaveLength(2);
  });

  test('with the same user alone where the scope says so, in all sessions of that user', async () => {
    const { user } = await startCachedScene({ rules: { scope: 'user' }, script: always() });
    const [one, again, other] = [await user(), await user(), await user(ENTERPRISE_2)];
    expect((await one.fetch(PATH)).text).toBe('answer 1');
    expect((await again.fetch(PATH)).text).toBe('answer 1');
    expect((await other.fetch(PATH)).text).toBe('answer 2');
  });

  test('with everybody on a public route, by Finvera’s word where there is one', async () => {
    const { gateway, upstream, clock } = await startCachedScene({
      rules: { scope: 'public' },
      route: { path: '/public', credential: 'none' },
      script: ({ url }) => ({ headers: url.endsWith('/said') ? ['Cache-Control', 'max-age=60'] : [] }),
    });
    const browser = gateway.browser();
    for (const path of ['/public/said', '/public/unsaid']) await browser.fetch(path);
    clock.advance(TTL_MS + 1_000);
    for (const path of ['/public/said', '/public/unsaid']) await gateway.browser().fetch(path);
    expect(upstream.requests.map(({ url }) => url)).toEqual(['/public/said', '/public/unsaid', '/public/unsaid']);
    expect((await browser.fetch('/public/said')).headers['cache-control']).toBe('max-age=60');
  });

  test('only after the session was found good', async () => {
    const { gateway, upstream, user } = await startCachedScene({ script: always() });
    const browser = await user();
    await browser.fetch(PATH);
    expectProblem(await gateway.browser().fetch(PATH), 401, 'session_required');
    const cookie = browser.cookie;
    await browser.fetch('/bff/logout', { method: 'POST' });
    browser.cookie = cookie;
    const after = await browser.fetch(PATH);
    expectProblem(after, 401, 'session_expired');
    expect(statusOf(after)).toBe('finvera-gateway');
    expect(upstream.requests).toHaveLength(1);
  });

  test('not at all on a route that does not ask, and nothing is said of a cache there', async () => {
    const { upstream, user } = await startCachedScene({
      others: [{ path: '/search', methods: ['GET'], credential: 'session', apiKeyIn: 'bearer' }],
      script: always('Cache-Control', 'public, max-age=60'),
    });
    const browser = await user();
    for (let i = 1; i <= 2; i += 1) {
      const reply = await browser.fetch('/search/api/v1/securities');
      expect(seen(reply)).toEqual([200, `answer ${i}`, undefined, undefined]);
    }
    expect(upstream.requests).toHaveLength(2);
  });
});

describe('what Finvera says is less counts: RFC 9111 §4.2.1', () => {
  test.each([
    ['max-age=3', 3],
    ['public, max-age=3', 3],
    ['s-maxage=3, max-age=9', 3],
    ['MAX-AGE=3', 3],
    ['max-age="3"', 3],
    ['max-age=3600', 10],
    ['public', 10],
    ['x-unknown=1', 10],
    ['', 10],
  ])('%j is fresh for %d s', async (said, seconds) => {
    const { upstream, clock, user } = await startCachedScene({ script: always('Cache-Control', said) });
    const browser = await user();
    await browser.fetch(PATH);
    clock.advance(seconds * 1_000 - 1);
    await browser.fetch(PATH);
    expect(upstream.requests).toHaveLength(1);
    clock.advance(1);
    await browser.fetch(PATH);
    expect(upstream.requests).toHaveLength(2);
  });

  test('Expires counts from Date, and is ignored beside max-age (§5.3)', async () => {
    const date = new Date(Date.parse('2026-11-24T12:00:00Z')).toUTCString();
    const expires = new Date(Date.parse('2026-11-24T12:00:04Z')).toUTCString();
    const { upstream, clock, user } = await startCachedScene({
      script: ({ url }) => ({
        headers: ['Date', date, 'Expires', expires, ...(url.includes('both') ? ['Cache-Control', 'max-age=8'] : [])],
      }),
    });
    const browser = await user();
    for (const query of ['?a', '?both']) await browser.fetch(PATH + query);
    clock.advance(5_000);
    for (const query of ['?a', '?both']) await browser.fetch(PATH + query);
    expect(upstream.requests.map(({ url }) => url.split('?')[1])).toEqual(['a', 'both', 'a']);
  });

  test('nothing is guessed from Last-Modified: the route says it (§4.2.2)', async () => {
    for (const scope of ['tier', 'public'] as const) {
      const route = scope === 'public' ? ({ credential: 'none' } as const) : {};
      const { upstream, clock, user } = await startCachedScene({
        rules: { scope },
        route,
        script: always('Last-Modified', 'Sat, 01 Jan 2000 00:00:00 GMT'),
      });
      const browser = await user();
      for (const [advanceMs, asked] of [
        [0, 1],
        [TTL_MS - 1, 1],
        [1, 2],
      ] as const) {
        clock.advance(advanceMs);
        await browser.fetch(PATH);
        expect(upstream.requests).toHaveLength(asked);
      }
    }
  });

  test('the time it was under way counts (§4.2.3)', async () => {
    const scene = await startCachedScene({
      script: (_request, count) => {
        scene.clock.advance(3_000);
        return { body: `answer ${count}` };
      },
    });
    const browser = await scene.user();
    expect((await browser.fetch(PATH)).headers.age).toBeUndefined();
    expect(seen(await browser.fetch(PATH)).slice(2)).toEqual(['finvera-gateway; hit; ttl=7', '3']);
    scene.clock.advance(7_000);
    expect((await browser.fetch(PATH)).text).toBe('answer 2');
  });

  test('the age it came with counts, and is told (§4.2.3)', async () => {
    const { upstream, clock, user } = await startCachedScene({ script: always('Age', '7') });
    const browser = await user();
    expect((await browser.fetch(PATH)).headers.age).toBe('7');
    clock.advance(2_000);
    expect(seen(await browser.fetch(PATH)).slice(2)).toEqual(['finvera-gateway; hit; ttl=1', '9']);
    clock.advance(1_000);
    await browser.fetch(PATH);
    expect(upstream.requests).toHaveLength(2);
  });
});

describe('never kept: RFC 9111 §3', () => {
  test.each([
    ['no-store', ['Cache-Control', 'no-store']],
    ['private', ['Cache-Control', 'private']],
    ['private with fields', ['Cache-Control', 'private="x-a"']],
    ['private of nothing', ['Cache-Control', 'private=""']],
    ['private twice', ['Cache-Control', 'private, private="x"']],
    ['private with blanks', ['Cache-Control', 'max-age=60, private=" authorization"']],
    ['Private', ['Cache-Control', 'Private']],
    ['private on a line of its own', ['Cache-Control', 'max-age=60', 'Cache-Control', 'private']],
    ['a quote without end', ['Cache-Control', 'max-age=60, private="x']],
    ['two lifetimes', ['Cache-Control', 'max-age=60, max-age=0']],
    ['Set-Cookie', ['Set-Cookie', 'a=b']],
    ['Vary: *', ['Vary', '*']],
    ['Vary: Authorization', ['Vary', 'Accept, Authorization']],
    ['Vary: Cookie', ['Vary', 'cookie']],
    ['Vary by what the gateway makes anew', ['Vary', 'X-Request-Id']],
    ['max-age=0 without a validator', ['Cache-Control', 'max-age=0']],
    ['no-cache without a validator', ['Cache-Control', 'no-cache']],
    ['no-cache with a field, without a validator', ['Cache-Control', 'no-cache="\tset-cookie"']],
    ['Pragma: no-cache', ['Pragma', 'no-cache']],
    ['Expires: 0', ['Expires', '0']],
  ])('%s', async (_name, headers) => {
    const { upstream, user } = await startCachedScene({ script: always(...headers) });
    const [one, other] = [await user(), await user(ENTERPRISE_2)];
    const first = await one.fetch(PATH);
    expect([first.text, statusOf(first)]).toEqual(['answer 1', 'finvera-gateway; fwd=uri-miss']);
    expect((await other.fetch(PATH)).text).toBe('answer 2');
    expect((await one.fetch(PATH)).text).toBe('answer 3');
    expect(upstream.requests).toHaveLength(3);
  });

  test.each([201, 206, 302, 400, 403, 404, 410, 429, 431, 500, 503])(
    '%d, whatever it says of itself',
    async (status) => {
      const { upstream, user } = await startCachedScene({
        script: () => ({ status, headers: ['Cache-Control', 'public, max-age=60', 'Location', '/x'] }),
      });
      const browser = await user();
      for (let i = 1; i <= 2; i += 1) {
        const reply = await browser.fetch(PATH);
        expect([reply.status, reply.text, statusOf(reply)]).toEqual([
          status,
          `answer ${i}`,
          'finvera-gateway; fwd=uri-miss',
        ]);
      }
      expect(upstream.requests).toHaveLength(2);
    },
  );

  test('a body that breaks off', async () => {
    const { upstream, user } = await startCachedScene({
      script: (_request, count, response) => {
        if (count > 1) return {};
        response.writeHead(200, { 'Content-Length': 100 });
        response.write('half');
        setTimeout(() => response.destroy(), 20);
        return undefined;
      },
    });
    const browser = await user();
    expectProblem(await browser.fetch(PATH), 502, 'upstream_unavailable');
    expect((await browser.fetch(PATH)).text).toBe('answer 2');
    expect(upstream.requests).toHaveLength(2);
  });

  test('a body that is too large, which passes whole and as it is', async () => {
    const body = Buffer.alloc(300_000, 'abcdefg');
    const { upstream, user } = await startCachedScene({
      cache: { maxEntryBytes: 100_000 },
      script: ({ url }, _count, response) => {
        if (url.includes('length')) return { body };
        response.writeHead(200);
        response.end(body);
        return undefined;
      },
    });
    const browser = await user();
    for (const query of ['?length', '?chunked', '?length', '?chunked'])
      expect((await browser.fetch(PATH + query)).body.equals(body)).toBe(true);
    expect(upstream.requests).toHaveLength(4);
  });

  test('nor by a cache in front of the gateway, where it passes and only Authorization kept it from others', async () => {
    const { user } = await startCachedScene({
      cache: { maxEntryBytes: 100 },
      script: () => ({ body: 'x'.repeat(200), headers: ['Cache-Control', 'max-age=60'] }),
    });
    const browser = await user();
    expect((await browser.fetch(PATH)).headers['cache-control']).toBe('max-age=60, private');
  });

  test.each(['tier', 'user'] as const)(
    'an answer that repeats the token it was asked with, in its body or a field, in scope %s',
    async (scope) => {
      const { upstream, user } = await startCachedScene({
        rules: { scope },
        script: ({ url, headers }) =>
          url.endsWith('field')
            ? { headers: ['X-Echo', String(headers.authorization)] }
            : { body: String(headers.authorization) },
      });
      const [one, other] = [await user(), await user(ENTERPRISE_2)];
      for (const query of ['?body', '?field']) {
        const before = upstream.requests.length;
        await one.fetch(PATH + query);
        const token = String(upstream.requests[before]?.headers.authorization).slice('Bearer '.length);
        const theirs = await other.fetch(PATH + query);
        expect(theirs.text + JSON.stringify(theirs.headers)).not.toContain(token);
        await one.fetch(PATH + query);
        expect(upstream.requests).toHaveLength(before + 3);
      }
    },
  );

  test('a stream of events, which passes as it comes', async () => {
    const { gateway, upstream, user } = await startCachedScene({
      script: (_request, _count, response) => {
        response.writeHead(200, { 'Content-Type': 'text/event-stream' });
        response.write('data: 1\n\n');
        return undefined;
      },
    });
    const { cookie = '' } = await user();
    const first = await new Promise<string>((resolve, reject) => {
      const headers = { Cookie: cookie, 'Sec-Fetch-Site': 'same-origin' };
      const asked = request(gateway.url + PATH, { headers, agent: false }, (response) => {
        response.on('error', () => undefined);
        response.once('data', (chunk: Buffer) => {
          resolve(String(chunk));
          asked.destroy();
        });
      });
      asked.on('error', reject);
      asked.end();
    });
    expect(first).toBe('data: 1\n\n');
    expect(upstream.requests).toHaveLength(1);
  });
});

describe('whose answers may be shared: RFC 9111 §3.5', () => {
  test('on a public route no credential is sent, whatever the client brings, so that everybody’s answer is the same', async () => {
    const { gateway, upstream, user } = await startCachedScene({
      rules: { scope: 'public' },
      route: { path: '/public', credential: 'none' },
      others: [],
      script: always(),
    });
    const known = await user();
    const headers = { Authorization: 'Bearer mine' };
    expect((await known.fetch('/public/1', { headers })).text).toBe('answer 1');
    expect((await gateway.browser().fetch('/public/1')).text).toBe('answer 1');
    expect(upstream.requests.map((each) => [each.headers.authorization, each.headers.cookie])).toEqual([
      [undefined, undefined],
    ]);
  });

  test('what says public, s-maxage or must-revalidate is still of one tier alone', async () => {
    for (const said of ['public', 's-maxage=60', 'must-revalidate, max-age=60']) {
      const { user } = await startCachedScene({ script: always('Cache-Control', said) });
      const [enterprise, standard] = [await user(), await user(STANDARD)];
      expect((await enterprise.fetch(PATH)).text).toBe('answer 1');
      expect((await standard.fetch(PATH)).text).toBe('answer 2');
    }
  });
});

describe('what tells answers apart: RFC 9111 §4.1', () => {
  test('the order of parameters and how they are encoded do not, their values do', async () => {
    const { upstream, user } = await startCachedScene({ script: always() });
    const browser = await user();
    const same = ['?b=2&a=1', '?a=1&b=2', '?%61=1&b=%32', '?a=1&&b=2&utm_source=x', '?apikey=k&a=1&b=2&fbclid=y'];
    for (const query of same) expect((await browser.fetch(PATH + query)).text).toBe('answer 1');
    for (const query of ['?a=1', '?a=2&b=2', '?a=1&b=2&b=3', '?a=1&b=3&b=2', '?A=1&b=2', '?a=1%26b=2', '', '?'])
      await browser.fetch(PATH + query);
    expect(upstream.requests.map(({ url }) => url.slice(PATH.length))).toEqual([
      '?a=1&b=2',
      '?a=1',
      '?a=2&b=2',
      '?a=1&b=2&b=3',
      '?a=1&b=3&b=2',
      '?A=1&b=2',
      '?a=1%26b=2',
      '',
    ]);
  });

  test('each value of a header that reaches Finvera has its own answer, and Vary-miss is told', async () => {
    const { user } = await startCachedScene({
      script: ({ headers }, count) => ({
        headers: ['Vary', 'Accept-Language'],
        body: `${count} ${headers['accept-language']}`,
      }),
    });
    const browser = await user();
    const ask = (language: string) => browser.fetch(PATH, { headers: { 'Accept-Language': language } });
    expect((await ask('de')).text).toBe('1 de');
    const second = await ask('en');
    expect([second.text, statusOf(second)]).toEqual(['2 en', 'finvera-gateway; fwd=vary-miss; stored']);
    expect((await ask('de')).text).toBe('1 de');
  });

  test('Accept-Encoding by what it allows, and the bytes of each coding as they came', async () => {
    const { upstream, user } = await startCachedScene({
      script: ({ headers }) =>
        String(headers['accept-encoding']).includes('gzip')
          ? { headers: ['Content-Encoding', 'gzip', 'Vary', 'Accept-Encoding'], body: Buffer.from([31, 139, 0, 255]) }
          : { headers: ['Vary', 'Accept-Encoding'], body: 'plain' },
    });
    const browser = await user();
    const ask = async (coding: string) => (await browser.fetch(PATH, { headers: { 'Accept-Encoding': coding } })).body;
    for (const coding of ['gzip, br', 'br;q=0.9,  GZIP', 'br, x-gzip, foo'])
      expect([...(await ask(coding))]).toEqual([31, 139, 0, 255]);
    for (const coding of ['identity', 'gzip;q=0', 'foo']) expect(String(await ask(coding))).toBe('plain');
    expect(upstream.requests.map(({ headers }) => headers['accept-encoding'])).toEqual(['br, gzip', 'identity']);
  });

  test('HEAD is answered from what GET brought, and brings what GET needs', async () => {
    const { upstream, user } = await startCachedScene({ script: always('ETag', '"e"') });
    const browser = await user();
    const head = await browser.fetch(PATH, { method: 'HEAD' });
    expect([head.status, head.text, head.headers['content-length']]).toEqual([200, '', '8']);
    expect((await browser.fetch(PATH)).text).toBe('answer 1');
    expect((await browser.fetch(PATH, { method: 'HEAD' })).headers.etag).toBe('"e"');
    expect(upstream.requests.map(({ method }) => method)).toEqual(['GET']);
  });
});

describe('past the cache', () => {
  test.each([
    ['a range', { headers: { Range: 'bytes=0-3' } }],
    ['a body', { body: 'x', headers: { 'Content-Length': '1' } }],
    ['If-Match', { headers: { 'If-Match': '"e"' } }],
  ])('%s', async (_name, options) => {
    const { upstream, user } = await startCachedScene({ script: always() });
    const browser = await user();
    await browser.fetch(PATH);
    const reply = await browser.fetch(PATH, options);
    expect([reply.text, statusOf(reply)]).toEqual(['answer 2', 'finvera-gateway; fwd=bypass']);
    expect(upstream.requests).toHaveLength(2);
  });

  test('a session without a tier', async () => {
    const { upstream, user } = await startCachedScene({
      simulator: { users: [{ email: 'none@finvera.test', password: 'demo-password', tier: '' }] },
      script: always(),
    });
    const browser = await user('none@finvera.test');
    for (let i = 0; i < 2; i += 1) expect(statusOf(await browser.fetch(PATH))).toBe('finvera-gateway; fwd=bypass');
    expect(upstream.requests).toHaveLength(2);
  });
});

describe('unsafe methods: RFC 9111 §4.4', () => {
  test('an accepted change ends what was kept of its path, with every query, for everybody', async () => {
    const { upstream, clock, user } = await startCachedScene({ script: always() });
    const [browser, standard] = [await user(), await user(STANDARD)];
    for (const query of ['', '?a=1']) await browser.fetch(PATH + query);
    await browser.fetch(`${PATH}/2`);
    await standard.fetch(PATH);
    clock.advance(10);
    const change = await browser.fetch(PATH, { method: 'POST', body: 'x' });
    expect(statusOf(change)).toBe('finvera-gateway; fwd=method');
    clock.advance(10);
    const before = upstream.requests.length;
    for (const query of ['', '?a=1']) await browser.fetch(PATH + query);
    expect(upstream.requests).toHaveLength(before + 2);
    for (const query of ['', '?a=1']) await browser.fetch(PATH + query);
    await browser.fetch(`${PATH}/2`);
    expect(upstream.requests).toHaveLength(before + 2);
    await standard.fetch(PATH);
    expect(upstream.requests).toHaveLength(before + 3);
  });

  test.each(['PUT', 'DELETE', 'POST'])(
    '%s does, and what was asked before it and comes after it is not kept',
    async (method) => {
      const { upstream, clock, user } = await startCachedScene({
        script: async (request, count) => {
          if (request.method === 'GET' && count === 1) await until('the change is made', () => changed, 10_000);
          return { body: `answer ${count}` };
        },
      });
      let changed = false;
      const browser = await user();
      const slow = browser.fetch(PATH);
      await until('it is asked', () => upstream.requests.length === 1, 10_000);
      clock.advance(10);
      await browser.fetch(PATH, { method });
      changed = true;
      expect((await slow).text).toBe('answer 1');
      clock.advance(10);
      expect((await browser.fetch(PATH)).text).toBe('answer 3');
    },
  );

  test('a refused one does not', async () => {
    const { upstream, user } = await startCachedScene({
      script: ({ method }) => ({ status: method === 'PUT' ? 500 : 200 }),
    });
    const browser = await user();
    await browser.fetch(PATH);
    await browser.fetch(PATH, { method: 'PUT', body: 'x' });
    expect((await browser.fetch(PATH)).text).toBe('answer 1');
    expect(upstream.requests).toHaveLength(2);
  });
});
