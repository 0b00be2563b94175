// Web cache deception: a victim is led to an address that looks like a file's, so that a cache keeps what is theirs for whoever asks next (ASVS 14.2.5).
import { afterEach, describe, expect, test } from '@jest/globals';
import { closeCachedScenes, ENTERPRISE_2, startCachedScene } from '../support/cached-scene.ts';
import { userOfBearer } from '../support/user-of-bearer.ts';

afterEach(closeCachedScenes);

const ME = '/delivery/api/v1/me';
const DRESSED = [
  `${ME}/x.css`,
  `${ME}/x.js?v=1`,
  `${ME};x.css`,
  `${ME}%3Bx.css`,
  `${ME}/.%2e/me.png`,
  `${ME}?/x.css`,
  `${ME}%0A.css`,
  `${ME}%23.css`,
  `${ME}/%20/x.css`,
];

describe('an address that is dressed as a file', () => {
  test.each(['user', 'tier'] as const)('shows what is one user’s to nobody else, in scope %s', async (scope) => {
    const { gateway, user } = await startCachedScene({
      rules: { scope },
      // A server that takes all of these for one, and says that it is one user’s where it is shared.
      script: ({ headers }) => ({
        headers: scope === 'tier' ? ['Cache-Control', 'private, max-age=600'] : ['Cache-Control', 'max-age=600'],
        body: `of ${userOfBearer(headers.authorization)}`,
      }),
    });
    const [victim, attacker] = [await user(), await user(ENTERPRISE_2)];
    for (const path of DRESSED) {
      const theirs = await victim.fetch(path);
      const [asked, unknown] = [await attacker.fetch(path), await gateway.browser().fetch(path)];
      if (theirs.status === 200) expect(asked.text).not.toBe(theirs.text);
      expect(unknown.text).not.toContain('of ');
      expect([400, 401, 404]).toContain(unknown.status);
    }
  });

  test('is for no cache in front of the gateway, whatever Finvera says of it', async () => {
    const { user } = await startCachedScene({
      script: ({ url }) => ({ headers: url.includes('?v') ? [] : ['Cache-Control', 'public, max-age=600'] }),
    });
    const victim = await user();
    for (const path of [`${ME}/x.css`, `${ME}/x.js?v=1`]) {
      for (let i = 0; i < 2; i += 1) {
        const { headers } = await victim.fetch(path);
        expect(headers['cache-control']).toMatch(/^(?:private, no-cache|no-store)$/);
        expect(headers.vary).toContain('Cookie');
      }
    }
  });
});
