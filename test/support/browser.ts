// Debian's Chromium, headless, for tests in a real browser. Fails where it is not installed: no test is skipped for that.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Browser, type BrowserContext, chromium } from 'playwright-core';

const COMMANDS = ['chromium', 'chromium-browser'];
/** No sandbox: tests may run as root in a container. The rest keeps the browser off the network. */
const ARGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Whoever launches it closes it. @param args more of Chromium's own. */
export function launchBrowser(...args: readonly string[]): Promise<Browser> {
  return chromium.launch({ executablePath: findChromium(), args: [...ARGS, ...args] });
}

/**
 * A visitor’s ordinary profile, in a folder of its own: cookies go to foreign sites as their `SameSite` allows, and are not
 * kept back as in the private windows that `newContext` opens. Whoever launches it closes it.
 */
export function launchProfile(folder: string): Promise<BrowserContext> {
  mkdirSync(join(folder, 'Default'), { recursive: true });
  const preferences = { profile: { cookie_controls_mode: 0, block_third_party_cookies: false } };
  writeFileSync(join(folder, 'Default', 'Preferences'), JSON.stringify(preferences));
  return chromium.launchPersistentContext(folder, { executablePath: findChromium(), args: ARGS });
}

function findChromium(): string {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const found = COMMANDS.flatMap((command) => folders.map((folder) => join(folder, command))).find(existsSync);
  if (!found) throw new Error('chromium cannot be found in PATH: is it installed?');
  return found;
}
