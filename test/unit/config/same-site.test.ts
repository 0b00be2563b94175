import { describe, expect, test } from '@jest/globals';
import { isLoopback, isSameSite } from '../../../src/config/same-site.ts';

describe('sites', () => {
  test.each([
    ['https://app.example.com', 'https://api.example.com'],
    ['https://example.com', 'https://app.example.com:8443'],
    ['https://a.shop.co.uk', 'https://b.shop.co.uk'],
    ['http://localhost:3000', 'http://localhost:5173'],
    ['http://127.0.0.1:3000', 'http://127.0.0.1:5173'],
    ['http://[::1]:1', 'http://[::1]:2'],
  ])('holds %s and %s for one', (a, b) => {
    expect(isSameSite(a, b)).toBe(true);
  });

  test.each([
    ['https://app.example.com', 'http://app.example.com'],
    ['https://app.example.com', 'https://app.example.org'],
    ['https://one.co.uk', 'https://other.co.uk'],
    ['https://one.com.au', 'https://other.com.au'],
    ['http://localhost:3000', 'http://127.0.0.1:3000'],
    ['http://10.0.0.1', 'http://10.1.0.1'],
    ['http://app.localhost', 'http://api.localhost:1'],
    ['http://intranet', 'http://wiki'],
  ])('holds %s and %s for two', (a, b) => {
    expect(isSameSite(a, b)).toBe(false);
  });

  test('holds two unknown suffixes for one: it errs that way', () => {
    expect(isSameSite('https://a.github.io', 'https://b.github.io')).toBe(true);
  });

  test('knows the addresses of this machine', () => {
    for (const each of ['http://localhost', 'http://app.localhost:1', 'http://127.1.2.3', 'http://[::1]:1']) {
      expect(isLoopback(each)).toBe(true);
    }
    for (const each of ['http://example.com', 'http://localhost.example.com', 'http://10.0.0.1']) {
      expect(isLoopback(each)).toBe(false);
    }
  });
});
