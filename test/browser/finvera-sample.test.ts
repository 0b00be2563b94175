// Finvera's documented browser class, unchanged, in a real browser against the gateway's address.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { launchBrowser } from '../support/browser.ts';
import { tokensSeen } from '../support/secrets.ts';
import { closeGateways, startGateway } from '../support/test-gateway.ts';

jest.setTimeout(60_000);

/** As in Finvera's documentation: a relative login path, cookies included, JSON as the content type of every request. */
const SAMPLE = `
class FinveraAuth {
  async login(email, password) {
    const response = await fetch('/api/v1/auth/token', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      credentials: 'include',
      body: JSON.stringify({ email, password }),
    });
    if (!response.ok) throw new Error('Authentication failed');
    return response.json();
  }

  async makeAuthenticatedRequest(endpoint) {
    const response = await fetch(endpoint, {
      credentials: 'include',
      headers: { 'Content-Type': 'application/json' },
    });
    if (!response.ok) throw new Error('Request failed: ' + response.status);
    return response.json();
  }
}
window.finvera = new FinveraAuth();
`;

let browser: Browser;
let simulator: Simulator;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'finvera-sample-'));
  writeFileSync(
    join(folder, 'index.html'),
    '<!doctype html><html lang="en"><title>sample</title><script src="sample.js"></script></html>',
  );
  writeFileSync(join(folder, 'sample.js'), SAMPLE);
  simulator = await createSimulator();
  browser = await launchBrowser();
});
afterEach(async () => {
  simulator.reset();
  await closeGateways();
});
afterAll(async () => {
  await browser?.close();
  await simulator?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A page with the class, on `localhost`: there a browser takes Secure cookies without TLS. */
async function openSample(cookieSecure: 'true' | 'false'): Promise<Page> {
  const gateway = await startGateway(simulator, { env: { FRONTEND: folder, COOKIE_SECURE: cookieSecure } });
  const page = await browser.newPage();
  await page.goto(`http://localhost:${gateway.port}/`);
  return page;
}

describe.each([
  ['true', '__Host-finvera_session'],
  ['false', 'finvera_session'],
] as const)("Finvera's browser sample with COOKIE_SECURE=%s", (cookieSecure, cookieName) => {
  test('logs in and calls the API', async () => {
    const page = await openSample(cookieSecure);
    expect(await page.evaluate("finvera.login('demo@finvera.test', 'demo-password')")).toEqual({
      message: 'Authentication successful',
      expires_in: expect.any(Number),
    });
    const event = await page.evaluate("finvera.makeAuthenticatedRequest('/delivery/api/v1/events/evt-0001')");
    expect(event).toMatchObject({ event_id: 'evt-0001' });

    const cookies = await page.context().cookies();
    expect(cookies.map(({ name }) => name)).toEqual([cookieName]);
    expect(cookies[0]).toMatchObject({
      httpOnly: true,
      secure: cookieSecure === 'true',
      sameSite: 'Strict',
      path: '/',
    });
    expect(await page.evaluate('document.cookie')).toBe('');

    const [call] = simulator.requests('data');
    const sent = call?.rawHeaders.join('\n') ?? '';
    expect(tokensSeen(simulator)).not.toHaveLength(0);
    expect(sent).toMatch(/^Bearer \S+$/m);
    expect(sent).not.toContain(cookies[0]?.value);
    await page.close();
  });

  test('fails as documented where nobody is logged in and where the password is wrong', async () => {
    const page = await openSample(cookieSecure);
    await expect(page.evaluate("finvera.makeAuthenticatedRequest('/delivery/api/v1/events/evt-0001')")).rejects.toThrow(
      'Request failed: 401',
    );
    await expect(page.evaluate("finvera.login('demo@finvera.test', 'wrong')")).rejects.toThrow('Authentication failed');
    expect(await page.context().cookies()).toEqual([]);
    expect(simulator.requests('data')).toHaveLength(0);
    await page.close();
  });
});
