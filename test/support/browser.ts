// Debian's Chromium, headless, for tests in a real browser. Fails where it is not installed: no test is skipped for that.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';

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

/** Whoever launches it closes it. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: findChromium(), args: ARGS });
}

function findChromium(): string {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const found = COMMANDS.flatMap((command) => folders.map((folder) => join(folder, command))).find(existsSync);
  if (!found) throw new Error('chromium cannot be found in PATH: is it installed?');
  return found;
}
