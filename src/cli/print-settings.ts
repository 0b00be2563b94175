/** The settings in force as YAML, each with its origin and secrets redacted. It finds and checks nothing. */
import { stringify } from 'yaml';
import { CACHE } from '../config/cache-schema.ts';
import type { LoadedSettings } from '../config/load.ts';
import { definitionOf, SETTING_NAMES, type SettingName } from '../config/schema.ts';
import type { RouteCacheSettings, RouteSettings, Settings } from '../config/settings.ts';
import type { SettingsMapping } from '../config/settings-mapping.ts';
import { STREAMS } from '../config/stream-schema.ts';
import { formatDuration, formatSize } from '../config/values.ts';

type ValidSettings = Extract<LoadedSettings, { kind: 'ok' }>;

export function printSettings({ settings, origins }: ValidSettings): string {
  const lines = SETTING_NAMES.map((name) => line(name, writtenForm(name, settings), origins[name]));
  const routes = line('routes', settings.routes.map(writtenRoute), origins.routes);
  const streams = line('streams', writtenMapping(STREAMS, settings.streams), origins.streams);
  return `${lines.join('')}${streams}${line('cache', writtenMapping(CACHE, settings.cache), origins.cache)}${routes}`;
}

/** What is unset stands there as a comment, so that the output is a file of settings again, secrets apart. */
function line(name: string, value: unknown, origin: string): string {
  if (value === undefined) return `#${name}: unset\n`;
  const text = stringify({ [name]: value }, { lineWidth: 0 });
  return text.trimEnd().includes('\n') ? `# ${origin}\n${text}` : `${text.trimEnd()} # ${origin}\n`;
}

/** A secret's kind formats it redacted: a Redis address keeps its host, a session key its kid. */
function writtenForm(name: SettingName, settings: Settings): unknown {
  if (name === 'loginLimitAccount' || name === 'loginLimitAddress') {
    return definitionOf(name).kind.format(settings[name] ?? 'off');
  }
  if (name === 'sessionKeys' && settings.sessionKeysAreRandom) return undefined;
  const value = settings[name];
  if (typeof value === 'number' && Number(definitionOf(name).kind.format(value)) === value) return value;
  return value === undefined || typeof value === 'boolean' ? value : definitionOf(name).kind.format(value);
}

function writtenRoute(route: RouteSettings): Record<string, unknown> {
  const { path, methods, credential, apiKeyIn, headersTimeout, bodyTimeout, maxBodyBytes, cache } = route;
  return {
    path,
    methods,
    credential,
    ...(credential === 'api-key' ? { apiKeyIn } : {}),
    ...(headersTimeout === undefined ? {} : { headersTimeout: formatDuration(headersTimeout) }),
    ...(bodyTimeout === undefined ? {} : { bodyTimeout: formatDuration(bodyTimeout) }),
    ...(maxBodyBytes === undefined ? {} : { maxBodyBytes: formatSize(maxBodyBytes) }),
    ...(cache === undefined ? {} : { cache: writtenRouteCache(cache) }),
  };
}

function writtenRouteCache({ ttl, staleWhileRevalidate, staleIfError, scope }: RouteCacheSettings) {
  return {
    ttl: formatDuration(ttl),
    staleWhileRevalidate: formatDuration(staleWhileRevalidate),
    staleIfError: formatDuration(staleIfError),
    scope,
  };
}

function writtenMapping<T extends object>(mapping: SettingsMapping<T>, values: T): Record<string, unknown> {
  return Object.fromEntries(
    mapping.names.map((name) => {
      const value = values[name];
      const text = mapping.setting(name).kind.format(value);
      return [name, typeof value === 'number' && Number(text) === value ? value : text];
    }),
  );
}
