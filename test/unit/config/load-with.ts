/** Loads settings from an environment and files that exist only in the test. Not for tests of the real shipped file. */
import { type LoadedSettings, loadSettings } from '../../../src/config/load.ts';

export const KEY = Buffer.alloc(32, 7).toString('base64url');
export const OTHER_KEY = Buffer.alloc(32, 8).toString('base64url');

/** What a start in production needs at least. */
export const PRODUCTION = {
  NODE_ENV: 'production',
  PUBLIC_URL: 'https://app.example.com',
  SESSION_KEYS: `k1:${KEY}`,
  REDIS_URL: 'rediss://redis.example.com',
} as const;

export type Files = Readonly<Record<string, string>>;

/** @param files by absolute path; `/shipped.yaml` is the file of defaults (empty unless given), all else is missing. */
export function loadWith(env: Record<string, string>, files: Files = {}): LoadedSettings {
  return loadSettings({
    env,
    readFile: readFrom({ '/shipped.yaml': '', ...files }),
    cwd: '/',
    shippedFile: '/shipped.yaml',
  });
}

export function readFrom(files: Files): (path: string) => string {
  return (path) => {
    const text = files[path];
    if (text === undefined) throw Object.assign(new Error(`ENOENT: no such file, open '${path}'`), { code: 'ENOENT' });
    return text;
  };
}

export function problemsOf(env: Record<string, string>, files: Files = {}): readonly string[] {
  const loaded = loadWith(env, files);
  return loaded.kind === 'invalid' ? loaded.problems : [];
}

export function settingsOf(env: Record<string, string>, files: Files = {}) {
  const loaded = loadWith(env, files);
  if (loaded.kind === 'invalid') throw new Error(loaded.problems.join('\n'));
  return loaded.settings;
}
