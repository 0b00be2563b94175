import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  type HeaderList,
  isClientClaim,
  type RequestContext,
  relativeLocation,
  requestHeaders,
  responseHeaders,
} from '../../../src/forwarding/header-policy.ts';
import { PROPERTY_TIMEOUT_MS, thorough } from '../../support/properties.ts';

const CONTEXT: RequestContext = {
  bearer: 'the-bearer',
  requestId: 'request-1',
  traceparent: undefined,
  clientIp: '192.0.2.1',
  proto: 'https',
  host: 'app.example.com',
};
const UPSTREAM = new URL('https://api.finvera.news');
const ADDED: HeaderList = [
  'Authorization',
  'Bearer the-bearer',
  'X-Forwarded-For',
  '192.0.2.1',
  'X-Forwarded-Proto',
  'https',
  'X-Forwarded-Host',
  'app.example.com',
  'Forwarded',
  'for=192.0.2.1;proto=https;host="app.example.com"',
  'Via',
  '1.1 finvera-gateway',
  'X-Request-Id',
  'request-1',
];

const request = (headers: HeaderList, context = CONTEXT) => requestHeaders(headers, context);
/** What is left of the client's own headers. */
const kept = (headers: HeaderList) => request(headers).slice(0, -ADDED.length);
describe('what may be kept of an answer to the gateway’s bearer', () => {
  const cacheControl = (value: string, isAuthorized: boolean) =>
    responseHeaders(['Cache-Control', value], { upstream: UPSTREAM, status: 200, isAuthorized })[1];

  test.each(['max-age=60', 'no-cache', 'max-age=60, x-public', 'stale-while-revalidate=5'])(
    'is for the one browser where %j leaves it to the Authorization that caches do not see',
    (value) => {
      expect(cacheControl(value, true)).toBe(`${value}, private`);
      expect(cacheControl(value, false)).toBe(value);
    },
  );

  test.each(['public, max-age=60', 'max-age=5,s-maxage=60', 'must-revalidate', 'private="x"', 'No-Store', 'PUBLIC'])(
    'is as Finvera says where it says %j',
    (value) => {
      expect(cacheControl(value, true)).toBe(value);
    },
  );
});

const response = (headers: HeaderList, status = 200) => responseHeaders(headers, { upstream: UPSTREAM, status });
const valuesIn = (headers: HeaderList, name: string) =>
  headers.filter((_, i) => i % 2 === 1 && headers[i - 1]?.toLowerCase() === name);
const pairsOf = (headers: HeaderList) =>
  Array.from({ length: headers.length / 2 }, (_, i) => [headers[2 * i] ?? '', headers[2 * i + 1] ?? ''] as const);

describe('what reaches finvera', () => {
  test('is what the client sent, and then what the gateway adds', () => {
    const headers = ['Accept', 'application/json', 'X-Custom', 'a', 'x-custom', 'b', 'Content-Length', '5'];
    expect(request(headers)).toEqual([...headers, ...ADDED]);
  });

  test.each([
    'Cookie',
    'cookie2',
    'Authorization',
    'X-CSRF',
    'X-Session-Activity',
    'Forwarded',
    'X-Forwarded-For',
    'X-Forwarded-Anything',
    'X-Real-IP',
    'True-Client-IP',
    'CF-Connecting-IP',
    'X-Original-URL',
    'X-Rewrite-URL',
    'X-HTTP-Method-Override',
    'X-Request-Id',
    'traceparent',
    'tracestate',
    'Via',
    'Expect',
    'Host',
    'X-User-Id',
    'X-Auth-Request-Email',
    'X-Envoy-External-Address',
    'Sec-WebSocket-Key',
    'X_User_Id',
    'X_Forwarded-For',
    'Client-Cert',
    'Connection',
    'Keep-Alive',
    'Proxy-Connection',
    'Proxy-Authorization',
    'TE',
    'Trailer',
    'Transfer-Encoding',
    'Upgrade',
    'HTTP2-Settings',
  ])('is never the client’s %s, whatever its case', (name) => {
    expect(kept(['A', '1', name, 'x', name.toUpperCase(), 'y', name.toLowerCase(), 'z', 'B', '2'])).toEqual([
      'A',
      '1',
      'B',
      '2',
    ]);
  });

  test('is not what Connection names, on any of its lines', () => {
    const headers = [
      'Connection',
      'close, X-Hop',
      'CONNECTION',
      ' x-two ,',
      'X-Hop',
      '1',
      'x-TWO',
      '2',
      'X-Three',
      '3',
    ];
    expect(kept(headers)).toEqual(['X-Three', '3']);
  });

  test('is what the gateway adds, although Connection names it', () => {
    expect(request(['Connection', 'authorization, x-forwarded-for, via, x-request-id'])).toEqual(ADDED);
  });

  test.each(['Content-Length', 'Content-Type', 'Cache-Control'])(
    'still is %s, although Connection names it',
    (name) => {
      expect(kept(['Connection', name, name, '5'])).toEqual([name, '5']);
    },
  );

  test('has no bearer where none goes along, and none of the client’s', () => {
    const headers = request(['Authorization', 'Bearer stolen'], { ...CONTEXT, bearer: undefined });
    expect(valuesIn(headers, 'authorization')).toEqual([]);
  });

  test('names an IPv6 client as RFC 7239 wants it', () => {
    const headers = request([], { ...CONTEXT, clientIp: '2001:db8::1' });
    expect(valuesIn(headers, 'x-forwarded-for')).toEqual(['2001:db8::1']);
    expect(valuesIn(headers, 'forwarded')).toEqual(['for="[2001:db8::1]";proto=https;host="app.example.com"']);
  });

  test('carries the trace where there is one', () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    expect(valuesIn(request(['traceparent', 'x'], { ...CONTEXT, traceparent }), 'traceparent')).toEqual([traceparent]);
  });
});

const CLAIMS = [
  'cookie',
  'authorization',
  'x-forwarded-for',
  'x-forwarded-host',
  'forwarded',
  'via',
  'x-request-id',
  'x-user-id',
  'x_user_id',
  'host',
  'expect',
  'x-csrf',
];
const HOPS = ['connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'proxy-authorization'];
const randomCase = (name: string) =>
  fc
    .array(fc.boolean(), { minLength: name.length, maxLength: name.length })
    .map((upper) => [...name].map((letter, i) => (upper[i] ? letter.toUpperCase() : letter)).join(''));
const nameArbitrary = fc
  .oneof(
    fc.constantFrom(...CLAIMS, ...HOPS, 'content-length', 'content-type', 'accept', 'x-custom', 'location'),
    fc.stringMatching(/^[a-z_-]{1,12}$/),
  )
  .chain(randomCase);
const valueArbitrary = fc.oneof(fc.stringMatching(/^[\x20-\x7e]{0,20}$/), nameArbitrary);
const headerArbitrary = fc.oneof(
  fc.tuple(nameArbitrary, valueArbitrary),
  fc.tuple(
    fc.constant('Connection'),
    fc.array(nameArbitrary).map((names) => names.join(', ')),
  ),
);
const headersArbitrary = fc.array(headerArbitrary, { maxLength: 12 }).map((pairs) => pairs.flat());

describe('whatever the client sends and Connection names', () => {
  test(
    'nothing of its claims survives, and what the gateway adds is there exactly once',
    () => {
      thorough.holds(headersArbitrary, (headers) => {
        const sent = request(headers);
        expect(sent.slice(-ADDED.length)).toEqual(ADDED);
        for (const [name] of pairsOf(sent.slice(0, -ADDED.length))) {
          expect(isClientClaim(name.toLowerCase())).toBe(false);
          expect([...CLAIMS, ...HOPS]).not.toContain(name.toLowerCase());
        }
      });
    },
    PROPERTY_TIMEOUT_MS,
  );

  test(
    'its Content-Length never vanishes and nothing is made up',
    () => {
      thorough.holds(headersArbitrary, (headers) => {
        const passed = kept(headers);
        expect(valuesIn(passed, 'content-length')).toEqual(valuesIn(headers, 'content-length'));
        expect(valuesIn(passed, 'content-type')).toEqual(valuesIn(headers, 'content-type'));
        const given = pairsOf(headers).map((pair) => pair.join(': '));
        for (const pair of pairsOf(passed)) expect(given).toContain(pair.join(': '));
      });
    },
    PROPERTY_TIMEOUT_MS,
  );
});

describe('what reaches the browser', () => {
  test('is what finvera sent, and no-store where it said nothing', () => {
    const headers = ['Content-Type', 'text/plain', 'ETag', '"1"', 'Link', 'a', 'Link', 'b'];
    expect(response(headers)).toEqual([...headers, 'Cache-Control', 'no-store']);
    expect(response(['cache-CONTROL', 'private'])).toEqual(['cache-CONTROL', 'private']);
  });

  test.each([
    'Set-Cookie',
    'Set-Cookie2',
    'Server',
    'X-Powered-By',
    'Via',
    'Clear-Site-Data',
    'Strict-Transport-Security',
    'Alt-Svc',
    'X-Request-Id',
    'WWW-Authenticate',
    'Access-Control-Allow-Origin',
    'Access-Control-Anything',
    'Content-Security-Policy',
    'X-Frame-Options',
    'Service-Worker-Allowed',
    'Transfer-Encoding',
    'Connection',
    'Keep-Alive',
  ])('is never finvera’s %s', (name) => {
    expect(response([name, 'x', name.toLowerCase(), 'y', 'Cache-Control', 'private'])).toEqual([
      'Cache-Control',
      'private',
    ]);
  });

  test('is not what Connection names, but for what frames the body and rules the cache', () => {
    const headers = [
      'Connection',
      'x-hop, content-length, cache-control',
      'X-Hop',
      '1',
      'Content-Length',
      '5',
      'Cache-Control',
      'private',
    ];
    expect(response(headers)).toEqual(['Content-Length', '5', 'Cache-Control', 'private']);
  });

  test.each([
    ['X-Bad', 'a\r\nSet-Cookie: x=1'],
    ['X-Bad', 'a\nb'],
    ['X-Bad', 'a\u0000b'],
    ['X Bad', 'a'],
    ['', 'a'],
    ['X-Bad\r\nSet-Cookie', 'a'],
  ])('is nothing that would split the answer: %j: %j', (name, value) => {
    expect(response([name, value, 'Cache-Control', 'private'])).toEqual(['Cache-Control', 'private']);
  });

  test('may hold a tab and bytes beyond ASCII', () => {
    expect(response(['X-Good', 'a\tb\u00e9', 'Cache-Control', 'private'])).toEqual([
      'X-Good',
      'a\tb\u00e9',
      'Cache-Control',
      'private',
    ]);
  });

  test('has no length with 204, and has it with 304', () => {
    const headers = ['Content-Length', '5', 'Cache-Control', 'private'];
    expect(response(headers, 204)).toEqual(['Cache-Control', 'private']);
    expect(response(headers, 304)).toEqual(headers);
  });

  test('has locations on finvera’s own host made relative', () => {
    const headers = ['Location', 'https://api.finvera.news/a?b#c', 'Content-Location', 'https://api.finvera.news/d'];
    expect(response(headers).slice(0, 4)).toEqual(['Location', '/a?b#c', 'Content-Location', '/d']);
    expect(response(['X-Location', 'https://api.finvera.news/a']).slice(0, 2)).toEqual([
      'X-Location',
      'https://api.finvera.news/a',
    ]);
  });

  test(
    'never sets a cookie, allows an origin or breaks a line, whatever finvera sends',
    () => {
      const name = fc.oneof(
        nameArbitrary,
        fc.constantFrom('Set-Cookie', 'SET-COOKIE', 'Access-Control-Allow-Origin'),
        fc.string(),
      );
      const headers = fc
        .array(fc.tuple(name, fc.oneof(valueArbitrary, fc.string({ unit: 'binary' }))))
        .map((pairs) => pairs.flat());
      thorough.holds(headers, fc.constantFrom(200, 204, 304, 500), (given, status) => {
        for (const [key, value] of pairsOf(response(given, status))) {
          expect(key).toMatch(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/);
          expect(key.toLowerCase()).not.toMatch(/^(?:set-cookie2?|access-control-.*|connection|transfer-encoding)$/);
          expect(value).not.toMatch(/[\r\n\0]/);
        }
      });
    },
    PROPERTY_TIMEOUT_MS,
  );
});

describe('the server’s key', () => {
  const KEY = 'canary/key+1';
  const ENCODED = encodeURIComponent(KEY);
  const shown = (headers: HeaderList) =>
    responseHeaders(headers, { upstream: UPSTREAM, status: 200, apiKey: KEY }).slice(0, -2);

  test.each([
    [`https://api.finvera.news/a?apikey=${ENCODED}`, '/a'],
    [`https://api.finvera.news/a?x=1&apikey=${ENCODED}&y=2`, '/a?x=1&y=2'],
    [`https://api.finvera.news/a?apikey=${ENCODED}&y=2#z`, '/a?y=2#z'],
    [`/a?APIKEY=${KEY}`, '/a'],
  ])('is taken out of %s', (location, expected) => {
    expect(shown(['Location', location])).toEqual(['Location', expected]);
  });

  test.each([KEY, `Bearer ${KEY}`, ENCODED, `/a?other=${ENCODED}`, ENCODED.toLowerCase()])(
    'never comes back: %s',
    (value) => {
      expect(shown(['X-Echo', value, 'X-Other', 'stays'])).toEqual(['X-Other', 'stays']);
    },
  );

  test('leaves other headers as they are', () => {
    expect(shown(['Link', '</a?apikey=other>; rel=next'])).toEqual(['Link', '</a?apikey=other>; rel=next']);
  });
});

describe('relativeLocation', () => {
  const withBase = new URL('https://api.finvera.news:8443/base');

  test.each([
    ['https://api.finvera.news/a/b?c=d#e', '/a/b?c=d#e'],
    ['https://api.finvera.news', '/'],
    ['https://api.finvera.news:443/a', '/a'],
    ['HTTPS://API.FINVERA.NEWS/a', '/a'],
    ['//api.finvera.news/a', '/a'],
    ['https://user:pass@api.finvera.news/a', '/a'],
    ['https://api.finvera.news./a', '/a'],
    ['https://api.finvera.news//evil.example/a', '/evil.example/a'],
    ['https://api.finvera.news/\\evil.example/a', '/evil.example/a'],
    ['https://evil.example/a', 'https://evil.example/a'],
    ['https://api.finvera.news.evil.example/a', 'https://api.finvera.news.evil.example/a'],
    ['https://api.finvera.news:8443/a', 'https://api.finvera.news:8443/a'],
    ['//evil.example', '//evil.example'],
    ['/relative', '/relative'],
    ['relative?x', 'relative?x'],
    ['https://[bad', 'https://[bad'],
    ['', ''],
  ])('makes %j of %j', (location, expected) => {
    expect(relativeLocation(location, UPSTREAM)).toBe(expected);
  });

  test.each([
    ['https://api.finvera.news:8443/base/a', '/a'],
    ['https://api.finvera.news:8443/base//evil.example', '/evil.example'],
    ['https://api.finvera.news:8443/baseless', '/baseless'],
    ['https://api.finvera.news/base/a', 'https://api.finvera.news/base/a'],
  ])('takes the base path off %s', (location, expected) => {
    expect(relativeLocation(location, withBase)).toBe(expected);
  });

  test(
    'never leads from finvera’s own host to another one',
    () => {
      const origin = fc.constantFrom('https://api.finvera.news', '//api.finvera.news', 'https://api.finvera.news:443');
      const rest = fc.oneof(
        fc.webPath(),
        fc.stringMatching(/^[/\\.@:a-z?#%09]{0,20}$/).map((text) => `/${text}`),
      );
      thorough.holds(origin, rest, (start, path) => {
        const result = relativeLocation(start + path, UPSTREAM);
        expect(new URL(result, 'https://gateway.example').origin).toBe('https://gateway.example');
        expect(result).not.toContain('finvera.news');
      });
    },
    PROPERTY_TIMEOUT_MS,
  );

  test('never throws, and leaves foreign locations as they are', () => {
    thorough.holds(fc.oneof(fc.string({ unit: 'binary' }), fc.webUrl()), (location) => {
      expect(typeof relativeLocation(location, UPSTREAM)).toBe('string');
      if (!location.toLowerCase().includes('finvera')) expect(relativeLocation(location, UPSTREAM)).toBe(location);
    });
  });
});
