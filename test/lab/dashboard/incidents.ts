// The four incidents of docs/operations.md, one after the other, each on what is running. Measures nothing.
import { setTimeout as delay } from 'node:timers/promises';
import { request } from 'undici';
import type { GatewayProcess } from '../gateway-process.ts';
import type { Lab } from '../scenario.ts';
import type { Stretch } from './panel-chart.ts';

const CALM_MS = 20_000;
/** Longer than the alerts wait (30 s), and than their rates need to rise. */
const LONG_MS = 55_000;

/** About four and a half minutes. @returns what was when, in seconds. */
export async function causeIncidents(lab: Lab, gateway: GatewayProcess): Promise<Stretch[]> {
  const stretches: Stretch[] = [];
  const during = async (name: string, work: () => Promise<void>, calmMs = CALM_MS) => {
    const from = nowSeconds();
    await work();
    stretches.push({ name, from, to: nowSeconds() });
    await delay(calmMs);
  };
  await delay(CALM_MS + 5_000);
  await during('store paused', async () => {
    lab.redis.pause();
    await delay(LONG_MS);
    lab.redis.resume();
  });
  await during('Finvera hangs', async () => {
    const hang = lab.simulator.addFault({ fault: 'hang', match: { call: 'data' } });
    await delay(LONG_MS);
    hang.remove();
  });
  await during('passwords', () => tryPasswords(gateway.url), 2 * CALM_MS);
  await during('locks lost', () => loseLocks(lab), 2 * CALM_MS);
  return stretches;
}

export const nowSeconds = (): number => Math.round(Date.now() / 1_000);

/** From one address, which the proxy in front would tell. */
async function tryPasswords(url: string): Promise<void> {
  for (let i = 0; i < 150; i += 1) {
    const answer = await request(`${url}/bff/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'sec-fetch-site': 'same-origin', 'x-forwarded-for': '192.0.2.7' },
      body: JSON.stringify({ email: `victim-${i % 20}@finvera.test`, password: 'guess' }),
    });
    await answer.body.dump();
    await delay(60);
  }
}

/** Every refresh takes long, and its lock becomes another's meanwhile, who does nothing with it. */
async function loseLocks({ redis, simulator }: Lab): Promise<void> {
  const hold = simulator.addFault({ fault: 'latency', ms: 4_500, match: { call: 'refresh' } });
  for (let i = 0; i < 60; i += 1) {
    const locks = (await redis.client.keys('finvera:*')).filter((key) => key.endsWith(':lock'));
    for (const lock of locks) await redis.client.set(lock, 'another', 'PX', 8_000, 'XX');
    await delay(250);
  }
  hold.remove();
}
