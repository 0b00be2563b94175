import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { RouteSettings } from '../../../src/config/settings.ts';
import { decidePath } from '../../../src/forwarding/path-decision.ts';
import { createRouteTable } from '../../../src/forwarding/route-table.ts';
import { PROPERTY_TIMEOUT_MS, property } from '../../support/properties.ts';

const route = (path: string): RouteSettings => ({ path, methods: ['GET'], credential: 'session', apiKeyIn: 'bearer' });
const matchIn = (paths: readonly string[], path: string) => {
  const match = createRouteTable(paths.map(route)).match(path);
  return match.kind === 'route' ? match.route.path : undefined;
};

describe('createRouteTable', () => {
  test.each([
    ['/delivery', '/delivery'],
    ['/delivery/', '/delivery'],
    ['/delivery/a/b', '/delivery'],
    ['/deliver', undefined],
    ['/delivery2', undefined],
    ['/Delivery', undefined],
    ['/a/delivery', undefined],
    ['/', undefined],
  ])('finds for %s the route %s, on whole segments', (path, expected) => {
    expect(matchIn(['/delivery', '/search'], path)).toBe(expected);
  });

  test('prefers the longest prefix, whatever the order', () => {
    for (const paths of [
      ['/a', '/a/b/c', '/a/b'],
      ['/a/b/c', '/a/b', '/a'],
    ]) {
      expect(matchIn(paths, '/a/b/c/d')).toBe('/a/b/c');
      expect(matchIn(paths, '/a/b/x')).toBe('/a/b');
      expect(matchIn(paths, '/a/x')).toBe('/a');
    }
  });

  test('takes the root for everything', () => {
    expect(matchIn(['/'], '/anything')).toBe('/');
    expect(matchIn(['/', '/a'], '/a/b')).toBe('/a');
  });

  test('does not change the list it is given', () => {
    const routes = [route('/a'), route('/a/b')];
    createRouteTable(routes);
    expect(routes.map(({ path }) => path)).toEqual(['/a', '/a/b']);
  });

  const FORBIDDEN = [
    '/kms/api/v1/auth',
    '/kms/api/v1/auth/token',
    '/KMS/API/V1/Auth/Token',
    '/kms//api/v1/auth/token',
    '/kms/api/v1/auth;x=1/token',
    '/kms/api;/v1/auth/token',
    '/kms/api/v1/auth./token',
    '/kms/api/v1/auth /token',
    '/kms/api/v1/auth/',
    '/kms/api/v1/\uff41uth/token',
    '/\u212ams/api/v1/auth/token',
    '/kms/api/v1/%61uth/token',
    '/api/v1/auth/token',
    '/API/v1/auth',
  ];

  test.each(FORBIDDEN)('never forwards %s, whatever the routes say', (path) => {
    expect(matchIn(['/', '/kms', '/kms/api/v1/auth', '/api'], path)).toBeUndefined();
  });

  test.each(['/kms/api/v1/accounts', '/kms/api/v1/authors', '/kms/api/v1', '/kms/api/v1/x/auth', '/api/v1/authority'])(
    'forwards %s',
    (path) => {
      expect(matchIn(['/'], path)).toBe('/');
    },
  );

  test(
    'never forwards a spelling that ends at finvera’s auth calls',
    () => {
      const spell = (letter: string) =>
        fc.constantFrom(
          letter,
          letter.toUpperCase(),
          `%${letter.charCodeAt(0).toString(16)}`,
          `%${letter.toUpperCase().charCodeAt(0).toString(16)}`,
        );
      const segment = (text: string) =>
        fc
          .tuple(fc.tuple(...[...text].map(spell)), fc.constantFrom('', ';', ';a=b', '.', '%20', '..', ';%2e'))
          .map(([letters, tail]) => letters.join('') + tail);
      const path = fc
        .tuple(
          segment('kms'),
          segment('api'),
          segment('v1'),
          segment('auth'),
          fc.constantFrom('', '/', '/token', '/refresh?x'),
        )
        .map(([kms, api, v1, auth, rest]) => `/${kms}/${api}/${v1}/${auth}${rest}`);
      property.holds(path, (target) => {
        const decision = decidePath(target);
        if (decision.kind !== 'path') return;
        expect(matchIn(['/', '/kms'], decision.path.decoded)).toBeUndefined();
      });
    },
    PROPERTY_TIMEOUT_MS,
  );

  test('never throws', () => {
    property.holds(fc.string({ unit: 'binary' }), (path) => {
      expect(['/a', undefined]).toContain(matchIn(['/a'], `/a/${path}`));
    });
  });
});
