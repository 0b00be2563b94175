/** What is odd about settings that are valid: keys that are no keys, cookies and origins that do not fit. Pure. */
import type { Settings } from '../config/settings.ts';
import type { Finding } from './finding.ts';

export function judgeSettings(settings: Settings): readonly Finding[] {
  return [...judgeKeys(settings), ...judgeBrowser(settings), ...judgeListeners(settings)];
}

const NEW_KEY = 'Make one with `keys new`.';
/** 32 random bytes hold 30 different ones on average, and fewer than 20 once in a million million. */
const LEAST_DISTINCT_BYTES = 20;
const MANY_KEYS = 4;

function judgeKeys({ sessionKeys, sessionKeysAreRandom }: Settings): readonly Finding[] {
  if (sessionKeysAreRandom) {
    const says = 'SESSION_KEYS is not set: each start makes a key of its own, and logs everybody out.';
    return [{ area: 'keys', level: 'advice', says, mend: NEW_KEY }];
  }
  const weak = sessionKeys.filter(({ key }) => isGuessable(Buffer.from(key.reveal(), 'base64url')));
  const findings = weak.map(
    ({ kid }): Finding => ({
      area: 'keys',
      level: 'wrong',
      says: `The key ${kid} does not look random: it repeats itself, or is readable text.`,
      mend: `${NEW_KEY} Put it first, and leave this one out.`,
    }),
  );
  if (sessionKeys.length > MANY_KEYS) {
    findings.push({
      area: 'keys',
      level: 'advice',
      says: `There are ${sessionKeys.length} session keys in force.`,
      mend: 'Drop those that are older than SESSION_ABSOLUTE_TIMEOUT.',
    });
  }
  const kids = sessionKeys.map(({ kid }) => kid).join(', ');
  return findings.length > 0
    ? findings
    : [{ area: 'keys', level: 'ok', says: `Session keys: ${kids}; the first seals.` }];
}

function isGuessable(bytes: Buffer): boolean {
  const isText = bytes.every((byte) => byte >= 0x20 && byte < 0x7f);
  return isText || new Set(bytes).size < LEAST_DISTINCT_BYTES;
}

function judgeBrowser(settings: Settings): readonly Finding[] {
  const { production, publicUrl, cookieSecure, cookieSamesite, allowedOrigins, trustProxy } = settings;
  const findings: Finding[] = [];
  const find = (level: Finding['level'], says: string, mend: string) =>
    findings.push({ area: 'browser', level, says, mend });
  if (!production) {
    find('advice', 'The checks for production are off.', 'Set NODE_ENV=production where real users come.');
  }
  if (publicUrl === undefined) {
    find(
      'advice',
      'PUBLIC_URL is not set: same-origin checks go by the Host header.',
      'Set it to the origin of the page.',
    );
  }
  if (!cookieSecure && publicUrl?.startsWith('https:')) {
    find('wrong', 'PUBLIC_URL is https, and the cookie is not Secure.', 'Set COOKIE_SECURE=true.');
  }
  if (cookieSamesite === 'None' && allowedOrigins.length === 0) {
    find('advice', 'COOKIE_SAMESITE=None, and no other origin may call.', 'Set COOKIE_SAMESITE=Strict.');
  }
  if (publicUrl?.startsWith('https:') && trustProxy.length === 0) {
    const says = 'PUBLIC_URL is https, so a proxy ends TLS, and TRUST_PROXY names none: all users share its address.';
    find(
      'wrong',
      says,
      'Set TRUST_PROXY to the address or network of the proxy, or login limits and logs take everybody for one.',
    );
  }
  if (trustProxy.some((each) => each.endsWith('/0'))) {
    find(
      'wrong',
      'TRUST_PROXY trusts every address: clients can name any address as theirs.',
      'Name the proxies alone.',
    );
  }
  return findings.length > 0
    ? findings
    : [{ area: 'browser', level: 'ok', says: `Pages of ${publicUrl} fit the cookie.` }];
}

const LOOPBACK = /^(127\.|::1$|localhost$)/;

function judgeListeners({ managementPort, managementHost }: Settings): readonly Finding[] {
  if (managementPort === 0) {
    const says = 'The management listener is off: there are no metrics.';
    return [{ area: 'settings', level: 'advice', says, mend: 'Set MANAGEMENT_PORT.' }];
  }
  if (LOOPBACK.test(managementHost)) return [];
  const says = `The management listener is open on ${managementHost}: who reaches it reads the metrics and sets the log level.`;
  return [{ area: 'settings', level: 'advice', says, mend: 'Keep its port in a network of its own.' }];
}
