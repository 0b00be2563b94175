// Fields that whatever stands in front of the gateway obeys, whoever wrote them: Finvera, or who makes it repeat something,
// has no cache, file server or reporting of the gateway's origin to command (RFC 9213, nginx's X-Accel, Network Error Logging).
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { always, closeCachedScenes, PATH, startCachedScene } from '../support/cached-scene.ts';
import { type RawScene, startRawScene } from '../support/raw-scene.ts';
import { rawAnswer } from '../support/raw-upstream.ts';

const ORDERS: readonly (readonly [string, string])[] = [
  ['X-Accel-Redirect', '/protected/keys'],
  ['X-Accel-Expires', '86400'],
  ['X-Accel-Limit-Rate', '1'],
  ['X-Accel-Charset', 'utf-7'],
  ['X-Sendfile', '/etc/passwd'],
  ['X-Lighttpd-Send-File', '/etc/passwd'],
  ['X-LIGHTTPD-send-tempfile', '/etc/passwd'],
  ['X-Reproxy-URL', 'http://127.0.0.1/'],
  ['CDN-Cache-Control', 'public, max-age=86400'],
  ['Cloudflare-CDN-Cache-Control', 'max-age=86400'],
  ['Vercel-CDN-Cache-Control', 'max-age=86400'],
  ['Netlify-CDN-Cache-Control', 'public, durable, max-age=86400'],
  ['Surrogate-Control', 'max-age=86400, content="ESI/1.0"'],
  ['Edge-Control', 'cache-maxage=86400'],
  ['NEL', '{"report_to":"x","max_age":86400,"success_fraction":1}'],
  ['Report-To', '{"group":"x","max_age":86400,"endpoints":[{"url":"https://evil.test/"}]}'],
  ['Reporting-Endpoints', 'x="https://evil.test/"'],
  ['Accept-CH', 'Sec-CH-UA-Full-Version-List'],
  ['Critical-CH', 'Sec-CH-UA-Full-Version-List'],
  ['Set-Login', 'logged-out'],
];

let scene: RawScene;

beforeAll(async () => {
  scene = await startRawScene();
});
afterAll(async () => {
  await closeCachedScenes();
  await scene.close();
});

describe('an order of Finvera’s', () => {
  test.each(ORDERS)('%s does not pass, in whatever case', async (name, value) => {
    for (const spelled of [name, name.toLowerCase(), name.toUpperCase()]) {
      scene.upstream.answer(rawAnswer('ok', [`${spelled}: ${value}`, 'Cache-Control: max-age=60']));
      const { headers, status } = await scene.browser.fetch('/delivery/x');
      expect([status, headers[name.toLowerCase()]]).toEqual([200, undefined]);
      expect(headers['cache-control']).toBe('max-age=60, private');
    }
  });

  test('is not kept with a shared answer either', async () => {
    const { user } = await startCachedScene({ script: always(...ORDERS.flat(), 'Cache-Control', 'max-age=60') });
    const browser = await user();
    for (let i = 0; i < 2; i += 1) {
      const { headers, status } = await browser.fetch(PATH);
      expect([status, headers['cache-control']]).toEqual([200, 'private, no-cache']);
      for (const [name] of ORDERS) expect([name, headers[name.toLowerCase()]]).toEqual([name, undefined]);
    }
  });

  test('that only lets a stream through as it comes stays: X-Accel-Buffering', async () => {
    scene.upstream.answer(rawAnswer('ok', ['X-Accel-Buffering: no']));
    expect((await scene.browser.fetch('/delivery/x')).headers['x-accel-buffering']).toBe('no');
  });
});
