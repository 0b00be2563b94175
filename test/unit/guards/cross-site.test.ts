import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { mayPass, type OriginRules, type Provenance } from '../../../src/guards/cross-site.ts';
import { property } from '../../support/properties.ts';

const OWN = 'https://app.example.com';
const ALLOWED = 'https://partner.example.org';
const FOREIGN = 'https://evil.example';
const RULES: OriginRules = { publicUrl: OWN, allowedOrigins: new Set([ALLOWED]) };

const request = (changes: Partial<Provenance>): Provenance => ({
  method: 'POST',
  secFetchSite: undefined,
  origin: undefined,
  host: 'app.example.com',
  hasSessionCookie: true,
  csrfHeader: undefined,
  ...changes,
});
const passes = (changes: Partial<Provenance>, rules = RULES) => mayPass(request(changes), rules);

describe('where the browser says what kind of site asks', () => {
  test.each<[Partial<Provenance>, boolean]>([
    [{ secFetchSite: 'same-origin' }, true],
    [{ secFetchSite: 'same-origin', origin: 'http://localhost:5173' }, true],
    [{ secFetchSite: 'none', method: 'GET' }, true],
    [{ secFetchSite: 'none', method: 'HEAD' }, true],
    [{ secFetchSite: 'none', method: 'OPTIONS' }, true],
    [{ secFetchSite: 'none', method: 'POST' }, false],
    [{ secFetchSite: 'none', method: 'POST', csrfHeader: '1' }, false],
    [{ secFetchSite: 'same-site' }, false],
    [{ secFetchSite: 'same-site', method: 'GET' }, false],
    [{ secFetchSite: 'same-site', origin: OWN }, false],
    [{ secFetchSite: 'same-site', origin: ALLOWED }, true],
    [{ secFetchSite: 'cross-site', method: 'GET' }, false],
    [{ secFetchSite: 'cross-site', origin: FOREIGN }, false],
    [{ secFetchSite: 'cross-site', origin: 'null' }, false],
    [{ secFetchSite: 'cross-site', origin: ALLOWED }, true],
    [{ secFetchSite: 'cross-site', csrfHeader: '1' }, false],
    [{ secFetchSite: 'cross-site', hasSessionCookie: false }, false],
  ])('%j: %s', (changes, expected) => {
    expect(passes(changes)).toBe(expected);
  });

  test.each(['', 'Same-Origin', 'same-origin, cross-site', 'anything'])(
    'the value %j counts as none',
    (secFetchSite) => {
      expect(passes({ secFetchSite })).toBe(false);
      expect(passes({ secFetchSite, origin: FOREIGN, method: 'GET' })).toBe(false);
      expect(passes({ secFetchSite, origin: OWN })).toBe(true);
    },
  );
});

describe('where only the origin is told', () => {
  test.each([
    [OWN, true],
    [ALLOWED, true],
    [FOREIGN, false],
    ['null', false],
    ['', false],
    ['http://app.example.com', false],
    [`${OWN}:8443`, false],
    [`${OWN}.evil.example`, false],
    ['https://evil-app.example.com', false],
    ['https://APP.example.com', false],
    [`${OWN}/`, false],
    [`${ALLOWED}/`, false],
    [`${ALLOWED}.evil.example`, false],
  ])('%j: %s', (origin, expected) => {
    expect(passes({ origin })).toBe(expected);
    expect(passes({ origin, method: 'GET' })).toBe(expected);
  });

  test('the host stands for the own origin where none is set', () => {
    const rules = { publicUrl: undefined, allowedOrigins: new Set<string>() };
    expect(passes({ origin: 'http://localhost:3000', host: 'localhost:3000' }, rules)).toBe(true);
    expect(passes({ origin: 'https://localhost:3000', host: 'LocalHost:3000' }, rules)).toBe(true);
    expect(passes({ origin: 'http://localhost:3001', host: 'localhost:3000' }, rules)).toBe(false);
    expect(passes({ origin: 'http://', host: '' }, rules)).toBe(false);
    expect(passes({ origin: 'ftp://localhost:3000', host: 'localhost:3000' }, rules)).toBe(false);
  });

  test('the host counts for nothing where the own origin is set', () => {
    expect(passes({ origin: 'https://evil.example', host: 'evil.example' })).toBe(false);
  });
});

describe('where nothing is told, as by what is no browser', () => {
  test.each<[Partial<Provenance>, boolean]>([
    [{ method: 'GET' }, true],
    [{ method: 'POST' }, false],
    [{ method: 'POST', hasSessionCookie: false }, true],
    [{ method: 'POST', csrfHeader: '1' }, true],
    [{ method: 'POST', csrfHeader: '0' }, false],
    [{ method: 'POST', csrfHeader: '1, 1' }, false],
    [{ method: 'DELETE' }, false],
    [{ method: 'get' }, false],
    [{ method: 'TRACE' }, false],
  ])('%j: %s', (changes, expected) => {
    expect(passes(changes)).toBe(expected);
  });
});

test('no foreign page changes anything with a session, whatever else it sends', () => {
  const foreign = fc.oneof(fc.constantFrom(FOREIGN, 'null', `${OWN}.evil.example`), fc.webUrl());
  const site = fc.constantFrom('cross-site', 'same-site', undefined, 'unknown');
  property.holds(
    foreign,
    site,
    fc.constantFrom('GET', 'POST', 'PUT', 'DELETE'),
    fc.boolean(),
    (origin, secFetchSite, method, csrf) => {
      fc.pre(origin !== OWN && origin !== ALLOWED);
      expect(passes({ origin, secFetchSite, method, csrfHeader: csrf ? '1' : undefined })).toBe(false);
    },
  );
});
