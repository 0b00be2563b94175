import { isIP } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { addressKey, clientAddress } from '../../../src/guards/client-address.ts';
import { PROPERTY_TIMEOUT_MS, property } from '../../support/properties.ts';

describe('clientAddress', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['192.0.2.1:4711', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8::1', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['[2001:db8::1]:4711', '2001:db8::1'],
    ['::ffff:1', '::ffff:1'],
  ])('takes the address from %j', (forwarded, expected) => {
    expect(clientAddress(forwarded, '198.51.100.9')).toBe(expected);
  });

  test.each(['', 'unknown', '_hidden', '192.0.2.256', '192.0.2.1:', '[192.0.2.1', 'a\r\nb', '192.0.2.1, 192.0.2.2'])(
    'takes the peer where %j is no address',
    (forwarded) => {
      expect(clientAddress(forwarded, '198.51.100.9')).toBe('198.51.100.9');
    },
  );

  test('never gives anything but the peer or an address', () => {
    property.holds(
      fc.oneof(
        fc.string(),
        fc.ipV4(),
        fc.ipV6(),
        fc.ipV6().map((ip) => `[${ip}]:1`),
      ),
      (forwarded) => {
        const address = clientAddress(forwarded, 'the peer');
        expect(address === 'the peer' || isIP(address) > 0).toBe(true);
      },
    );
  });
});

describe('addressKey', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:192.0.2.1', '192.0.2.1'],
    ['::ffff:c000:201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
    ['1:2:3:4:5:6:192.0.2.1', '1:2:3:4::/64'],
    ['unknown', 'unknown'],
    ['', ''],
  ])('counts %j as %j', (ip, expected) => {
    expect(addressKey(ip)).toBe(expected);
  });

  const group = fc.integer({ min: 0, max: 0xffff });
  const groups = (length: number) => fc.array(group, { minLength: length, maxLength: length });
  const hex = (parts: readonly number[]) => parts.map((part) => part.toString(16)).join(':');

  test(
    'is the same for all addresses of one /64 and differs for two',
    () => {
      property.holds(groups(4), groups(4), groups(4), groups(4), (network, other, host, otherHost) => {
        const key = addressKey(hex([...network, ...host]));
        if (network.every((part) => part === 0)) return;
        expect(addressKey(hex([...network, ...otherHost]))).toBe(key);
        if (hex(other) !== hex(network)) expect(addressKey(hex([...other, ...host]))).not.toBe(key);
      });
    },
    PROPERTY_TIMEOUT_MS,
  );

  test('is the same however an address is spelled', () => {
    property.holds(groups(8), fc.nat(7), fc.nat(8), fc.boolean(), (parts, from, length, isUpper) => {
      const to = Math.min(8, from + length);
      const zeroed = parts.map((part, i) => (i >= from && i < to ? 0 : part));
      const long = zeroed.map((part) => part.toString(16).padStart(4, '0')).join(':');
      const short = to > from ? `${hex(zeroed.slice(0, from))}::${hex(zeroed.slice(to))}` : hex(zeroed);
      expect(addressKey(isUpper ? short.toUpperCase() : short)).toBe(addressKey(long));
    });
  });

  test('is the IPv4 address for every way to write it as IPv6', () => {
    property.holds(fc.ipV4(), (ip) => {
      const [a = 0, b = 0, c = 0, d = 0] = ip.split('.').map(Number);
      expect(addressKey(ip)).toBe(ip);
      expect(addressKey(`::ffff:${ip}`)).toBe(ip);
      expect(addressKey(`::ffff:${hex([(a << 8) | b, (c << 8) | d])}`)).toBe(ip);
    });
  });

  test('never throws, whatever the text', () => {
    property.holds(fc.oneof(fc.string(), fc.ipV6(), fc.ipV4Extended()), (ip) => {
      expect(typeof addressKey(ip)).toBe('string');
    });
  });
});
