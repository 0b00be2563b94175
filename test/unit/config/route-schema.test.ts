import { describe, expect, test } from '@jest/globals';
import { parseRoutes } from '../../../src/config/route-schema.ts';

const problemsOf = (route: unknown) => parseRoutes([route]).problems;

describe('routes', () => {
  test('have defaults for all but the path', () => {
    expect(parseRoutes([{ path: '/delivery' }])).toEqual({
      routes: [
        {
          path: '/delivery',
          methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
          credential: 'session',
          apiKeyIn: 'bearer',
        },
      ],
      problems: [],
    });
  });

  test('may set everything, times and sizes in their written forms', () => {
    const route = {
      path: '/a/b',
      methods: ['GET', 'OPTIONS'],
      credential: 'api-key',
      apiKeyIn: 'query',
      headersTimeout: '5s',
      bodyTimeout: '250ms',
      maxBodyBytes: 2048,
    };
    expect(parseRoutes([route]).routes).toEqual([{ ...route, headersTimeout: 5000, bodyTimeout: 250 }]);
  });

  test.each([
    '/',
    '/a',
    '/a/b-c_d~e',
    '/a.b',
    '/...',
    '/bffs',
    '/healthy',
    '/streams',
    '/kms',
    '/kms/api/v1/authors',
    '/v1@2,3',
  ])('may lie at %s', (path) => {
    expect(problemsOf({ path })).toEqual([]);
  });

  test.each([
    ['/a/', /must not end with a slash/],
    ['a', /must be a prefix/],
    ['', /must be a prefix/],
    ['//a', /must be a prefix/],
    ['/a//b', /must be a prefix/],
    ['/a%2fb', /must be a prefix/],
    ['/a b', /must be a prefix/],
    ['/a\\b', /must be a prefix/],
    ['/a;b', /must be a prefix/],
    ['/a?b', /must be a prefix/],
    ['/a/../b', /must not hold the segments/],
    ['/a/.', /must not hold the segments/],
    ['/a/*', /must not be a pattern/],
    ['/a/:id', /must not be a pattern/],
    ['/bff', /at or below \/bff/],
    ['/BFF/x', /at or below \/bff/],
    ['/health', /at or below \/health/],
    ['/stream/x', /at or below \/stream/],
    ['/kms/api/v1/auth', /at or below \/kms\/api\/v1\/auth/],
    ['/kms/API/v1/Auth/token', /at or below \/kms\/api\/v1\/auth/],
    ['/api/v1/auth', /at or below \/api\/v1\/auth/],
    [5, /must be a prefix/],
  ])('are refused at %j', (path, message) => {
    expect(problemsOf({ path })).toEqual([expect.stringMatching(message)]);
    expect(problemsOf({ path })[0]).toMatch(/^routes\[0\]\.path /);
  });

  test.each([
    ['methods', 'GET', 'routes[0].methods must be a list such as [GET, HEAD]'],
    ['methods', [], 'routes[0].methods must name at least one method'],
    ['methods', ['GET', 'get'], /^routes\[0\]\.methods\[1\] must be one of GET, .* in upper case$/],
    ['methods', ['TRACE'], /^routes\[0\]\.methods\[0\] must be one of/],
    ['methods', ['CONNECT'], /^routes\[0\]\.methods\[0\] must be one of/],
    ['credential', 'apikey', 'routes[0].credential must be one of session, api-key, none'],
    ['apiKeyIn', 'query', 'routes[0].apiKeyIn has a meaning only with credential: api-key; remove it or set that'],
    ['headersTimeout', 5000, /^routes\[0\]\.headersTimeout must be a duration/],
    ['bodyTimeout', '5', /^routes\[0\]\.bodyTimeout must be a duration/],
    ['maxBodyBytes', '10 mb', /^routes\[0\]\.maxBodyBytes must be a size/],
    ['maxBodyBytes', null, /^routes\[0\]\.maxBodyBytes must be a size/],
    ['method', ['GET'], 'routes[0] has an unknown key method. Did you mean methods?'],
    ['caches', { ttl: '5s' }, /^routes\[0\] has an unknown key caches\./],
  ])('are refused with %s: %j', (key, value, message) => {
    const expected = message instanceof RegExp ? expect.stringMatching(message) : message;
    expect(problemsOf({ path: '/a', [key]: value })).toEqual([expected]);
  });

  test('are told apart from what is no list and no mapping', () => {
    expect(parseRoutes({ path: '/a' }).problems).toEqual(['routes must be a list (write [] for none)']);
    expect(problemsOf('/a')).toEqual(['routes[0] must be a mapping with path, methods and credential']);
    expect(problemsOf(null)).toEqual(['routes[0] must be a mapping with path, methods and credential']);
  });

  test('are refused where one path comes twice', () => {
    expect(parseRoutes([{ path: '/a' }, { path: '/b' }, { path: '/a' }]).problems).toEqual([
      'routes[2].path is that of routes[0] again',
    ]);
  });

  test('have all their faults told together, and the good ones kept', () => {
    const { problems, routes } = parseRoutes([
      { path: '/a/', methods: ['get'], credential: 'x', apiKeyIn: 'query', cach: 1 },
      { path: '/good' },
    ]);
    expect(problems).toHaveLength(5);
    expect(routes.map(({ path }) => path)).toEqual(['/good']);
  });

  test('may be none', () => {
    expect(parseRoutes([])).toEqual({ routes: [], problems: [] });
  });
});
