import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decidePath } from '../../../src/forwarding/path-decision.ts';
import { PROPERTY_TIMEOUT_MS, thorough } from '../../support/properties.ts';

const decided = (raw: string, query = '', decoded = raw) => ({ kind: 'path', path: { raw, query, decoded } });

describe('decidePath', () => {
  test.each([
    ['/'],
    ['/a'],
    ['/a/b.c/d-e_f~g'],
    ['/a/'],
    ['/a/..b'],
    ['/a/b..'],
    ['/.well-known/x'],
    ["/a!$&'()*+,;=:@b"],
    ['/a;b=c/d'],
    ['/[x]'],
  ])('takes %s as it is', (path) => {
    expect(decidePath(path)).toEqual(decided(path));
  });

  test.each([
    ['/a?b=c', '/a', '?b=c'],
    ['/a?', '/a', '?'],
    ['/a?b?c', '/a', '?b?c'],
    ['/?x', '/', '?x'],
    ['/a?x=/../%2e%2e', '/a', '?x=/../%2e%2e'],
    ['/a?"<>{}^`|\\', '/a', '?"<>{}^`|\\'],
  ])('keeps the query of %s apart, byte for byte', (target, raw, query) => {
    expect(decidePath(target)).toEqual(decided(raw, query));
  });

  test.each([
    ['/%61', '/a'],
    ['/%C3%A4', '/ä'],
    ['/a%20b', '/a b'],
    ['/a%3Fb', '/a?b'],
    ['/a%23b', '/a#b'],
  ])('decodes %s once for the rules, and sends it as it was written', (raw, decoded) => {
    expect(decidePath(raw)).toEqual(decided(raw, '', decoded));
  });

  test.each([
    ['a dot segment', ['/./a', '/a/.', '/a/..', '/..', '/a/../b', '/a/.../b', '/a/..;/b', '/a/.;x=1/b']],
    ['an escaped dot segment', ['/%2e', '/%2E%2e/a', '/a/.%2e/b', '/a/%2e./b', '/a/..%3b/b', '/a/.%20/b', '/a/%20/b']],
    ['an escaped slash or backslash', ['/a%2fb', '/a%2Fb', '/a%5cb', '/..%2f..']],
    ['a slash twice', ['//', '//a', '/a//b', '//evil.example/a']],
    ['an escaped control character', ['/a%00', '/a%0a', '/a%0D', '/a%7f', '/a%C2%80']],
    ['an escape that is not valid', ['/%', '/%z', '/%2', '/%ff', '/%c3']],
    ['what is escaped twice', ['/%252e%252e', '/a%252fb', '/%255c', '/%2525', '/a%2500', '/a%250a', '/a%253b']],
    [
      'a raw character that must be escaped',
      ['/a b', '/a"b', '/a<b', '/a>b', '/a\\b', '/a^b', '/a`b', '/a{b', '/\u00e4', '/a\u0000', '/a\tb'],
    ],
    ['a fragment', ['/a#b', '/a?b#c']],
    ['what is no path', ['', 'a', '?a', 'example.com:443', '\\a', ' /a']],
    ['a query with a blank or beyond ASCII', ['/a?b c', '/a?\u00e4', '/a?\r\n']],
  ])('refuses %s', (_, targets) => {
    for (const target of targets) expect({ target, ...decidePath(target) }).toMatchObject({ target, kind: 'refused' });
  });

  test.each([
    ['http://app.example.com/a?b', 'app.example.com', decided('/a', '?b').path],
    ['HTTPS://app.example.com:8443/a', 'app.example.com:8443', decided('/a').path],
    ['http://app.example.com', 'app.example.com', decided('/').path],
  ])('tells the host of the absolute form %s', (target, host, path) => {
    expect(decidePath(target)).toEqual({ kind: 'absolute', path, host });
  });

  test.each([
    'http://',
    'http:///a',
    'http://user@host/a',
    'http://host/../a',
    'http://host/a#b',
    'ftp://host/a',
    'http://host?x',
  ])('refuses the absolute form %s', (target) => {
    expect(decidePath(target).kind).toBe('refused');
  });

  test('knows the asterisk', () => {
    expect(decidePath('*')).toEqual({ kind: 'asterisk' });
  });
});

describe('whatever the target is', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '.',
      '..',
      '/',
      '//',
      '%2e',
      '%2E',
      '%2f',
      '%5c',
      '%25',
      '%252e',
      ';',
      '?',
      '#',
      '\\',
      'a',
      '%61',
      '%C3%A4',
      ' ',
      '%20',
      '%',
      '\u0000',
      '*',
      '@',
      ':',
    ),
    fc.string({ unit: 'binary', maxLength: 4 }),
    fc.stringMatching(/^%[0-9a-f]{2}$/),
  );
  const target = fc.oneof(
    fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`),
    fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('')),
    fc.array(piece, { maxLength: 8 }).map((pieces) => `http://host/${pieces.join('')}`),
    fc.string({ unit: 'binary' }),
  );

  test(
    'nothing is thrown; a path that is decided has one meaning only, and is sent as it was given',
    () => {
      thorough.holds(target, (given) => {
        const decision = decidePath(given);
        if (decision.kind === 'path') expect(given).toBe(decision.path.raw + decision.path.query);
        if (decision.kind === 'absolute') {
          expect(given.endsWith(decision.path.raw + decision.path.query) || given.endsWith(decision.host)).toBe(true);
        }
        if (decision.kind !== 'path' && decision.kind !== 'absolute') return;
        const { raw, query, decoded } = decision.path;
        expect(raw).toMatch(/^\/[\x21-\x7e]*$/);
        expect(raw).not.toMatch(/%2f|%5c|%00|%0a|%0d/i);
        expect(query).toMatch(/^(?:\?[\x21-\x7e]*)?$/);
        expect(query).not.toContain('#');
        expect(decoded.split('/').length).toBe(raw.split('/').length);
        for (const segment of decoded.split('/')) {
          expect(segment).not.toMatch(/^[.\s]+(?:;.*)?$/);
          expect(segment).not.toMatch(/[\p{Cc}\\]/u);
        }
        // Whoever resolves the path as a browser does, comes to the same path.
        expect(new URL(`http://host${raw}`).pathname).toBe(raw);
      });
    },
    PROPERTY_TIMEOUT_MS,
  );
});
