/** Reads the settings among environment variables, and from the files that `X_FILE` name; finds misspelt ones. */
import { nearest, suggestion } from './near-miss.ts';
import { definitionOf, SETTING_NAMES, type SettingName } from './schema.ts';
import { type Source, splitList, type Written } from './written.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** @throws whatever `node:fs` throws, its `code` is told. */
export type ReadFile = (path: string) => string;

/** Variables that are read but are no settings. */
const PROCESS_VARIABLES = ['NODE_ENV', 'GATEWAY_CONFIG'] as const;

/** Under these an unknown variable is an error: it was meant for the gateway, and silence would leave a default in force. */
export const OWN_PREFIXES = ['FINVERA_', 'SESSION_', 'REFRESH_', 'COOKIE_', 'LOGIN_LIMIT_', 'SHUTDOWN_'] as const;

/** What other software sets under our prefixes: the X session manager; Kubernetes for every Service that bears such a name. */
const FOREIGN = /^SESSION_MANAGER$|_SERVICE_(HOST|PORT(_\w+)?)$|_PORT_\d+_(TCP|UDP)(_\w+)?$/;
const FOREIGN_PORT = { name: /_PORT$/, value: /^(tcp|udp):\/\// };

/** Names shorter than this are too common to be taken for misspelt ones of ours (`HOME`, `POST`). */
const SHORTEST_MISSPELT = 8;

const SECRETS = SETTING_NAMES.filter((name) => definitionOf(name).secret !== undefined);
const KNOWN: readonly string[] = [
  ...SETTING_NAMES.map((name) => definitionOf(name).variable),
  ...SECRETS.map((name) => `${definitionOf(name).variable}_FILE`),
  ...PROCESS_VARIABLES,
];

/** An empty variable counts as unset: that is how compose files and charts leave one out. */
export function variable(env: Environment, name: string): string | undefined {
  const text = env[name];
  return text === undefined || text.trim() === '' ? undefined : text;
}

export function readEnvironment(env: Environment, readFile: ReadFile): Source {
  const written: Written[] = [];
  const problems: string[] = [];
  const unread: SettingName[] = [];
  for (const name of SETTING_NAMES) {
    const found = readSetting(name, env, readFile);
    if (found === undefined) continue;
    if ('problem' in found) {
      problems.push(found.problem);
      unread.push(name);
    } else {
      written.push(found);
    }
  }
  const misspelt = misspeltVariables(env);
  return { written, problems: [...problems, ...misspelt.problems], unread, warnings: misspelt.warnings };
}

function readSetting(
  name: SettingName,
  env: Environment,
  readFile: ReadFile,
): Written | { problem: string } | undefined {
  const { variable: variableName, secret, kind } = definitionOf(name);
  const text = variable(env, variableName);
  const fileVariable = `${variableName}_FILE`;
  const path = secret === undefined ? undefined : variable(env, fileVariable);
  const asWritten = (value: string) => (kind.isList ? splitList(value) : value.trim());
  if (path === undefined) {
    return text === undefined ? undefined : { name, value: asWritten(text), origin: variableName, place: variableName };
  }
  if (text !== undefined) return { problem: `${variableName} and ${fileVariable} are both set: set one of them` };
  const content = readSecretFile(fileVariable, path, readFile);
  if (typeof content !== 'string') return content;
  return { name, value: asWritten(content), origin: fileVariable, place: `${variableName} (from ${fileVariable})` };
}

function readSecretFile(fileVariable: string, path: string, readFile: ReadFile): string | { problem: string } {
  // Who puts the secret itself into X_FILE must not read it in the log: only what is plainly a path is repeated.
  const file = /^(\.{0,2}\/|[A-Za-z]:[\\/])/.test(path) ? `the file ${path}` : 'the file it names';
  try {
    const content = readFile(path).replace(/(\r?\n)+$/, '');
    return content.trim() === '' ? { problem: `${fileVariable}: ${file} is empty` } : content;
  } catch (error) {
    return { problem: `${fileVariable}: ${file} cannot be read (${errorCode(error)}); it must be a readable file` };
  }
}

/** The short code of a file error; its message would repeat the path. */
export function errorCode(error: unknown): string {
  return String((error as { code?: unknown } | null)?.code ?? 'error');
}

function misspeltVariables(env: Environment): { problems: string[]; warnings: string[] } {
  const unknown = Object.keys(env).filter((name) => variable(env, name) !== undefined && !KNOWN.includes(name));
  const own = unknown.filter((name) => OWN_PREFIXES.some((prefix) => name.startsWith(prefix)) && !isForeign(name, env));
  const others = unknown.filter((name) => !own.includes(name) && !isForeign(name, env) && isNearMiss(name));
  return {
    problems: own.map((name) => `${name} is not a setting.${advice(name)}`),
    warnings: others.map((name) => `${name} is not a setting, and is ignored.${advice(name)}`),
  };
}

function isForeign(name: string, env: Environment): boolean {
  return FOREIGN.test(name) || (FOREIGN_PORT.name.test(name) && FOREIGN_PORT.value.test(env[name] ?? ''));
}

function isNearMiss(name: string): boolean {
  return name.length >= SHORTEST_MISSPELT && name === name.toUpperCase() && nearest(name, KNOWN) !== undefined;
}

function advice(name: string): string {
  const direct = name.replace(/_FILE$/, '');
  if (direct !== name && KNOWN.includes(direct)) return ` Only secrets come from files: set ${direct} itself.`;
  const siblings = KNOWN.filter((each) => OWN_PREFIXES.some((own) => name.startsWith(own) && each.startsWith(own)));
  return suggestion(name, KNOWN, ` Settings with this prefix: ${siblings.join(', ')}.`);
}
