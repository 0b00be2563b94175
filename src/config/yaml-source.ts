/** Reads the settings of one file, or of a program. It opens no file: it is given the text. */
import { LineCounter, parseDocument } from 'yaml';
import { hasUserInfo } from './addresses.ts';
import { suggestion } from './near-miss.ts';
import { definitionOf, isSettingName, SETTING_NAMES, type SettingName } from './schema.ts';
import { type Source, splitList, type Written } from './written.ts';

export interface YamlSource extends Source {
  /** What stands under `routes:`, `streams:` and `cache:`, where it is there. */
  readonly routes?: Nested;
  readonly streams?: Nested;
  readonly cache?: Nested;
}

interface Nested {
  readonly value: unknown;
  readonly origin: string;
}

/** What is no single value but a list or a mapping of its own, with rules of its own. */
const NESTED = ['routes', 'streams', 'cache'] as const;
const isNested = (key: string): key is (typeof NESTED)[number] => (NESTED as readonly string[]).includes(key);

/** @param file how the file is called in problems and origins. */
export function readYamlSource(text: string, file: string): YamlSource {
  const document = parseMapping(text, file);
  const source = readEntries(document.entries, file, mustNotBeInYaml);
  return {
    ...source,
    problems: [...document.problems, ...source.problems],
    unread: document.isReadable ? source.unread : 'all',
  };
}

/** Settings that a program gives: they may be secrets, and what is undefined is not given. */
export function readGivenSource(given: object): YamlSource {
  const entries = Object.entries(given)
    .filter(([, value]) => value !== undefined)
    // A list may be written as in a variable, too: that is where a program has it from.
    .map(([key, value]) => (isListIn(key, value) ? ([key, splitList(value)] as const) : ([key, value] as const)));
  return readEntries(entries, GIVEN, () => false);
}

const isListIn = (key: string, value: unknown): value is string =>
  typeof value === 'string' && isSettingName(key) && definitionOf(key).kind.isList === true;

const GIVEN = 'the given settings';

function readEntries(
  entries: readonly (readonly [string, unknown])[],
  file: string,
  isForbidden: (name: SettingName, value: unknown) => boolean,
): YamlSource {
  const written: Written[] = [];
  const problems: string[] = [];
  const unread: SettingName[] = [];
  const nested: { routes?: Nested; streams?: Nested; cache?: Nested } = {};
  for (const [key, value] of entries) {
    if (value === null || value === undefined) {
      problems.push(`${key} in ${file} has no value: give it one or remove it`);
      if (isSettingName(key)) unread.push(key);
    } else if (isNested(key)) {
      nested[key] = { value, origin: file };
    } else if (!isSettingName(key)) {
      problems.push(unknownKey(key, file));
    } else if (isForbidden(key, value)) {
      problems.push(secretInYaml(key, file));
      unread.push(key);
    } else {
      written.push(entry(key, value, file));
    }
  }
  return { written, problems, unread, warnings: [], ...nested };
}

interface Mapping {
  readonly entries: readonly [string, unknown][];
  readonly problems: readonly string[];
  readonly isReadable: boolean;
}

/** The parser's own messages quote the text around the fault, which may be a secret: only code and place are passed on. */
function parseMapping(text: string, file: string): Mapping {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { prettyErrors: false, lineCounter });
  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0) {
    const problems = faults.map(({ code, pos: [start] }) => {
      const { line, col } = lineCounter.linePos(start);
      return `${file} is not valid YAML at line ${line}, column ${col} (${code})`;
    });
    return { entries: [], problems, isReadable: false };
  }
  const content = toPlain(() => document.toJS());
  if (content === null) return { entries: [], problems: [], isReadable: true };
  if (typeof content !== 'object' || Array.isArray(content)) {
    const problem = `${file} must be a mapping of settings, such as logLevel: info`;
    return { entries: [], problems: [problem], isReadable: false };
  }
  return { entries: Object.entries(content), problems: [], isReadable: true };
}

/** Aliases beyond all bounds throw; such a document is no mapping of settings. */
function toPlain(read: () => unknown): unknown {
  try {
    return read();
  } catch {
    return [];
  }
}

function entry(name: SettingName, value: unknown, file: string): Written {
  const place = `${definitionOf(name).variable} (${name} in ${file})`;
  return { name, value: Array.isArray(value) ? value.map(asText) : asText(value), origin: file, place };
}

/** YAML reads `3000` and `true` as what they are, settings are read from text. */
function asText(value: unknown): unknown {
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : value;
}

function unknownKey(key: string, file: string): string {
  return `${key} in ${file} is not a setting.${suggestion(key, [...SETTING_NAMES, ...NESTED])}`;
}

/** A file of settings lies in repositories and images: no secret in it, ever. */
function mustNotBeInYaml(name: SettingName, value: unknown): boolean {
  const { secret } = definitionOf(name);
  return secret === 'never in YAML' || (secret !== undefined && hasUserInfo(String(value)));
}

function secretInYaml(name: SettingName, file: string): string {
  const { variable } = definitionOf(name);
  return `${name} in ${file} is a secret, which must not lie in a file of settings: use ${variable} or ${variable}_FILE`;
}
