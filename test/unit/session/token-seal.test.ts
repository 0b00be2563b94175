import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Secret } from '../../../src/kernel/secret.ts';
import { newSessionId } from '../../../src/session/session-id.ts';
import { createTokenSeal, type SealedContents } from '../../../src/session/token-seal.ts';
import { PROPERTY_TIMEOUT_MS, property } from '../../support/properties.ts';
import { tokensNamed, USER, withoutRefresh } from '../../support/session-fixtures.ts';

const keyOf = (kid: string, byte: number) => ({
  kid,
  key: new Secret(Buffer.alloc(32, byte).toString('base64url')),
});
const NEW = keyOf('new', 2);
const OLD = keyOf('old', 1);
const ID = newSessionId();
const CONTENTS: SealedContents = { user: USER, tokens: { ...tokensNamed('0', 1_000), refreshExpiresAt: 9_000 } };

/** Secrets as text, so that they can be compared. */
const plain = ({ user, tokens }: SealedContents) => ({
  user,
  tokens: { ...tokens, access: tokens.access.reveal(), refresh: tokens.refresh?.reveal() },
});
const openedBy = async (seal: ReturnType<typeof createTokenSeal>, id: typeof ID, sealed: string) => {
  const opened = await seal.open(id, sealed);
  return opened.kind === 'opened' ? { ...plain(opened.contents), current: opened.current } : opened.kind;
};

describe('createTokenSeal', () => {
  test('needs a key', () => {
    expect(() => createTokenSeal([])).toThrow('at least one key');
  });

  test('opens what it sealed, all of it', async () => {
    const seal = createTokenSeal([NEW]);
    expect(await openedBy(seal, ID, await seal.seal(ID, CONTENTS))).toEqual({ ...plain(CONTENTS), current: true });
  });

  test('leaves absent what was absent', async () => {
    const seal = createTokenSeal([NEW]);
    const contents = { user: USER, tokens: withoutRefresh(tokensNamed('0', 1_000)) };
    const opened = await seal.open(ID, await seal.seal(ID, contents));
    if (opened.kind !== 'opened') throw new Error('not opened');
    expect(Object.keys(opened.contents.tokens).sort()).toEqual(['access', 'accessExpiresAt', 'accessLifeMs']);
  });

  test('is a JWE with the direct key that names the newest key and shows no token', async () => {
    const sealed = await createTokenSeal([NEW, OLD]).seal(ID, CONTENTS);
    const parts = sealed.split('.');
    expect(parts).toHaveLength(5);
    expect(JSON.parse(Buffer.from(parts[0] ?? '', 'base64url').toString())).toEqual({
      alg: 'dir',
      enc: 'A256GCM',
      kid: 'new',
    });
    expect(parts[1]).toBe('');
    for (const part of parts) {
      const text = Buffer.from(part, 'base64url').toString('latin1');
      for (const secret of ['access-0', 'refresh-0', USER.email]) expect(text).not.toContain(secret);
    }
  });

  test('never seals the same twice alike', async () => {
    const seal = createTokenSeal([NEW]);
    expect(await seal.seal(ID, CONTENTS)).not.toBe(await seal.seal(ID, CONTENTS));
  });

  test('opens what an older key sealed, and says so', async () => {
    const sealed = await createTokenSeal([OLD]).seal(ID, CONTENTS);
    expect(await openedBy(createTokenSeal([NEW, OLD]), ID, sealed)).toMatchObject({ current: false });
  });

  test('says that what its newest key sealed is current, also from before a restart', async () => {
    const sealed = await createTokenSeal([NEW], { now: () => 1_000 }).seal(ID, CONTENTS);
    const restarted = createTokenSeal([NEW, OLD], { now: () => 9_000 });
    expect(await openedBy(restarted, ID, sealed)).toMatchObject({ current: true });
  });

  test('does not open what a key that is gone sealed, nor another key of the same name', async () => {
    const sealed = await createTokenSeal([OLD]).seal(ID, CONTENTS);
    expect(await openedBy(createTokenSeal([NEW]), ID, sealed)).toBe('unopenable');
    expect(await openedBy(createTokenSeal([keyOf('old', 9)]), ID, sealed)).toBe('unopenable');
  });

  test('does not open for another session', async () => {
    const seal = createTokenSeal([NEW]);
    expect(await openedBy(seal, newSessionId(), await seal.seal(ID, CONTENTS))).toBe('unopenable');
  });

  test.each([
    ['nothing', ''],
    ['no JWE', 'a.b.c.d.e'],
    ['an unsigned token', 'eyJhbGciOiJub25lIn0..'],
  ])('does not open %s', async (_, sealed) => {
    expect(await openedBy(createTokenSeal([NEW]), ID, sealed)).toBe('unopenable');
  });

  const text = fc.string({ unit: 'grapheme' });
  const contents: fc.Arbitrary<SealedContents> = fc
    .record({ id: text, email: text, name: text, tier: text, access: text, refresh: fc.option(text), at: fc.nat() })
    .map(({ id, email, name, tier, access, refresh, at }) => ({
      user: { user_id: id, email, username: name, licensing_tier_id: tier },
      tokens: {
        access: new Secret(access),
        accessExpiresAt: at,
        accessLifeMs: at + 1,
        ...(refresh === null ? {} : { refresh: new Secret(refresh), refreshExpiresAt: at + 2 }),
      },
    }));

  test(
    'opens whatever it sealed, for its session only',
    async () => {
      const seal = createTokenSeal([NEW, OLD]);
      await property.holdsAsync(contents, async (value) => {
        const [id, other] = [newSessionId(), newSessionId()];
        const sealed = await seal.seal(id, value);
        expect(await openedBy(seal, id, sealed)).toEqual({ ...plain(value), current: true });
        expect(await openedBy(seal, other, sealed)).toBe('unopenable');
      });
    },
    PROPERTY_TIMEOUT_MS,
  );

  test(
    'opens nothing that was altered, wherever',
    async () => {
      const seal = createTokenSeal([NEW]);
      const sealed = await seal.seal(ID, CONTENTS);
      await property.holdsAsync(fc.nat(sealed.length - 1), fc.integer({ min: 1, max: 63 }), async (at, by) => {
        const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
        const old = alphabet.indexOf(sealed.charAt(at));
        const altered = sealed.slice(0, at) + alphabet[(old + by) % 64] + sealed.slice(at + 1);
        const isSameBytes = altered
          .split('.')
          .every((part, i) =>
            Buffer.from(part, 'base64url').equals(Buffer.from(sealed.split('.')[i] ?? '', 'base64url')),
          );
        if (isSameBytes && old >= 0) return; // bits of the last character that count for nothing
        expect(await openedBy(seal, ID, altered)).toBe('unopenable');
      });
    },
    PROPERTY_TIMEOUT_MS,
  );

  test(
    'opens nothing put together from two seals',
    async () => {
      const seal = createTokenSeal([NEW]);
      const one = (await seal.seal(ID, CONTENTS)).split('.');
      const other = (await seal.seal(ID, CONTENTS)).split('.');
      // The header is the same in both; the initialisation vector, the text and its tag are not.
      await property.holdsAsync(fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()), async (mix) => {
        const parts = [one[0], one[1], ...mix.map((isOther, i) => (isOther ? other : one)[i + 2])];
        const isMixed = mix.some((isOther) => isOther) && !mix.every((isOther) => isOther);
        expect(await openedBy(seal, ID, parts.join('.'))).toEqual(isMixed ? 'unopenable' : expect.anything());
      });
    },
    PROPERTY_TIMEOUT_MS,
  );
});
