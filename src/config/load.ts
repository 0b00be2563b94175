/** Finds the settings (defaults, files, environment, each winning over the one before) and checks them, all problems at once. The only reader of `process.env`. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assembleSettings } from './assemble.ts';
import { CACHE } from './cache-schema.ts';
import { crossCheck } from './cross-checks.ts';
import { type Environment, errorCode, type ReadFile, readEnvironment, variable } from './environment-source.ts';
import { parseRoutes } from './route-schema.ts';
import { definitionOf, SETTING_NAMES, SETTINGS, type SettingName, type Values } from './schema.ts';
import type { ReadKeys } from './session-keys.ts';
import type { RouteSettings, Settings } from './settings.ts';
import type { SettingsMapping } from './settings-mapping.ts';
import { STREAMS } from './stream-schema.ts';
import { planTracing, type TracingPlan } from './tracing-plan.ts';
import { type Source, splitList, type Written } from './written.ts';
import { readGivenSource, readYamlSource, type YamlSource } from './yaml-source.ts';

export interface LoadOptions {
  /** Default: the process's. */
  readonly env?: Environment;
  /** Default: from the disk. Given absolute paths, and the paths of `X_FILE` as they are written. */
  readonly readFile?: ReadFile;
  /** What relative paths are relative to. Default: the working directory. */
  readonly cwd?: string;
  /** The file of defaults. Default: the `config/gateway.yaml` of this package. */
  readonly shippedFile?: string;
  /** What a program gives; wins over all others. */
  readonly given?: GivenSettings;
}

/** Settings by their names in YAML, as they are written there: durations and sizes as text, such as `90s` and `10mb`. */
export type GivenSettings = { readonly [Name in SettingName]?: string | number | boolean | readonly string[] } & {
  readonly routes?: readonly Readonly<Record<string, unknown>>[];
  readonly streams?: Readonly<Record<string, unknown>>;
  readonly cache?: Readonly<Record<string, unknown>>;
};

export type Origins = Readonly<Record<SettingName | 'routes' | 'streams' | 'cache', string>>;

export type LoadedSettings =
  | {
      readonly kind: 'ok';
      readonly settings: Settings;
      /** Where each value is from: `default`, a file's name, a variable, or `VAR_FILE`. */
      readonly origins: Origins;
      readonly warnings: readonly string[];
    }
  | {
      readonly kind: 'invalid';
      /** Sentences, each naming its setting; of values they repeat origins and paths only, so no secret. Never empty. */
      readonly problems: readonly string[];
      readonly warnings: readonly string[];
    };

const KEYS_FILE = 'SESSION_KEYS_FILE';
const SHIPPED_NAME = 'config/gateway.yaml';
/** The same from `src/config` and from `dist/config`. */
const SHIPPED_FILE = fileURLToPath(new URL(`../../${SHIPPED_NAME}`, import.meta.url));

const readFromDisk: ReadFile = (path) => readFileSync(path, 'utf8');

/** Synchronous, for the start of a process. Throws nothing that a setting could cause. */
export function loadSettings(options: LoadOptions = {}): LoadedSettings {
  const { env = process.env, readFile = readFromDisk, cwd = '', shippedFile = SHIPPED_FILE } = options;
  const read: ReadFile = (path) => readFile(resolve(cwd, path));
  const shipped = readSettingsFile(shippedFile, SHIPPED_NAME, SHIPPED_NAME, read);
  const overlayFile = variable(env, 'GATEWAY_CONFIG');
  const overlay = overlayFile ? readSettingsFile(overlayFile, overlayFile, 'GATEWAY_CONFIG', read) : NOTHING;
  const environment = readEnvironment(env, read);
  const given = options.given ? readGivenSource(options.given) : NOTHING;
  const sources: readonly Source[] = [DEFAULTS, shipped, overlay, environment, given];

  const production = env.NODE_ENV === 'production';
  const valued = readValues(sources.flatMap(({ written }) => written));
  const routed = readRoutes([shipped, overlay, given]);
  const streamed = readMapping(STREAMS, [shipped, overlay, given]);
  const cached = readMapping(CACHE, [shipped, overlay, given]);
  const frontend = checkFrontend(valued.values.frontend, cwd, read);
  const invalid = new Set([...valued.invalid, ...unreadSettings(sources, environment)]);
  const { routes } = routed;
  const { values: streams } = streamed;
  const { values: cache } = cached;
  const crossed = crossCheck({ values: valued.values, routes, streams, cache, production, invalid });
  const problems = [
    ...sources.flatMap((source) => source.problems),
    ...valued.problems,
    ...routed.problems,
    ...streamed.problems,
    ...cached.problems,
    ...frontend.problems,
    ...crossed.problems,
  ];
  const warnings = [...nodeEnvWarning(env), ...sources.flatMap((source) => source.warnings), ...crossed.warnings];
  if (problems.length > 0) return { kind: 'invalid', problems, warnings };
  const values = { ...valued.values, frontend: frontend.value };
  return {
    kind: 'ok',
    settings: assembleSettings(values, {
      routes,
      streams,
      cache,
      production,
      sessionKeysFile: valued.origins.sessionKeys === KEYS_FILE ? resolve(cwd, env[KEYS_FILE] ?? '') : undefined,
    }),
    origins: { ...valued.origins, routes: routed.origin, streams: streamed.origin, cache: cached.origin },
    warnings,
  };
}

/** For a program that brings its settings with it: of the environment only NODE_ENV counts. */
export function loadGivenSettings(given: GivenSettings): LoadedSettings {
  const { NODE_ENV } = process.env;
  return loadSettings({ env: { NODE_ENV }, given });
}

/** What the OTEL_* variables of the process say. */
export function loadTracingPlan(): TracingPlan {
  return planTracing(process.env);
}

/** The session keys alone, for a command that needs nothing else of the settings. */
export function loadSessionKeys({ env = process.env, readFile = readFromDisk, cwd = '' }: LoadOptions = {}): ReadKeys {
  const { SESSION_KEYS, SESSION_KEYS_FILE } = env;
  const source = readEnvironment({ SESSION_KEYS, SESSION_KEYS_FILE }, (path) => readFile(resolve(cwd, path)));
  const { values, problems } = readValues(source.written);
  const [problem] = [...source.problems, ...problems];
  if (problem !== undefined) return { kind: 'invalid', problem };
  if (values.sessionKeys) return { kind: 'keys', keys: values.sessionKeys };
  return { kind: 'invalid', problem: 'SESSION_KEYS is not set, nor SESSION_KEYS_FILE' };
}

const NOTHING: YamlSource = { written: [], problems: [], unread: [], warnings: [] };

const DEFAULTS: Source = {
  ...NOTHING,
  written: SETTING_NAMES.flatMap((name) => {
    const { byDefault, kind } = definitionOf(name);
    if (byDefault === undefined) return [];
    return [{ name, value: kind.isList ? splitList(byDefault) : byDefault, origin: 'default', place: name }];
  }),
};

function readSettingsFile(path: string, name: string, setting: string, read: ReadFile): YamlSource {
  try {
    return readYamlSource(read(path), name);
  } catch (error) {
    const problem = `${setting}: the file ${path} cannot be read (${errorCode(error)}); it must be a readable YAML file`;
    return { ...NOTHING, problems: [problem], unread: 'all' };
  }
}

/** Of a file that cannot be read nobody knows what it sets: only what the environment says is judged then. */
function unreadSettings(sources: readonly Source[], environment: Source): readonly SettingName[] {
  const decided = new Set(environment.written.map(({ name }) => name));
  return sources.flatMap(({ unread }) =>
    unread === 'all' ? SETTING_NAMES.filter((name) => !decided.has(name)) : unread,
  );
}

interface ReadValues {
  readonly values: Values;
  readonly origins: Readonly<Record<SettingName, string>>;
  readonly invalid: ReadonlySet<SettingName>;
  readonly problems: readonly string[];
}

/** Each source's value is judged, also one that a later source replaces: it would be the value on another day. */
function readValues(written: readonly Written[]): ReadValues {
  const values: Partial<Record<SettingName, unknown>> = {};
  const origins = Object.fromEntries(SETTING_NAMES.map((name) => [name, 'default'])) as Record<SettingName, string>;
  const invalid = new Set<SettingName>();
  const problems: string[] = [];
  for (const { name, value, origin, place } of written) {
    const parsed = SETTINGS[name].kind.schema.safeParse(value);
    if (parsed.success) {
      values[name] = parsed.data;
      origins[name] = origin;
      continue;
    }
    invalid.add(name);
    for (const { path, message } of parsed.error.issues) {
      const entry = typeof path[0] === 'number' ? ` entry ${path[0] + 1}` : '';
      problems.push(`${place}${entry} ${message}`);
    }
  }
  // Every setting with a default has a value by now; what is invalid is looked at by nobody, see cross-checks.
  return { values: values as Values, origins, invalid, problems };
}

interface ReadRoutes {
  readonly routes: readonly RouteSettings[];
  readonly origin: string;
  readonly problems: readonly string[];
}

/** The last list replaces the others whole: a merged one would open what an operator left out. */
function readRoutes(files: readonly YamlSource[]): ReadRoutes {
  const written = files.flatMap(({ routes }) => (routes ? [routes] : []));
  const parsed = written.map(({ value, origin }) => ({ origin, ...parseRoutes(value) }));
  const problems = parsed.flatMap(({ origin, problems }) => problems.map((each) => `${each} (in ${origin})`));
  const { routes, origin } = parsed.at(-1) ?? { routes: [], origin: 'default' };
  return { routes, origin, problems };
}

interface ReadMapping<T> {
  readonly values: T;
  readonly origin: string;
  readonly problems: readonly string[];
}

/** Merged key by key. What is wrong is told with the file it is in. */
function readMapping<T>(mapping: SettingsMapping<T>, files: readonly YamlSource[]): ReadMapping<T> {
  const written = files.flatMap((file) => file[mapping.key] ?? []);
  const problems = written.flatMap(({ value, origin }) =>
    mapping.parse([value]).problems.map((each) => `${each} (in ${origin})`),
  );
  const { values } = mapping.parse(written.map(({ value }) => value));
  return { values, origin: written.at(-1)?.origin ?? 'default', problems };
}

/** A folder must be there at start: a misspelt one would be a site of 404s. */
function checkFrontend(
  value: Values['frontend'],
  cwd: string,
  read: ReadFile,
): { value: Values['frontend']; problems: readonly string[] } {
  if (value?.kind !== 'folder') return { value, problems: [] };
  const path = resolve(cwd, value.path);
  try {
    read(join(path, 'index.html'));
    return { value: { kind: 'folder', path }, problems: [] };
  } catch (error) {
    const problem = `FRONTEND must be a folder with a readable index.html (${errorCode(error)}), or an http:// address`;
    return { value, problems: [problem] };
  }
}

/** The refusals of production hang on one exact word. */
function nodeEnvWarning({ NODE_ENV = '' }: Environment): readonly string[] {
  if (NODE_ENV === 'production' || !/^\s*prod/i.test(NODE_ENV)) return [];
  return ['NODE_ENV is not exactly production: the checks for production are off'];
}
