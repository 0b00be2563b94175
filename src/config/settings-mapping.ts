/** A mapping of settings in the YAML, such as `streams:`, described key by key: how it is read and merged. What the keys mean stands with them. */
import { suggestion } from './near-miss.ts';
import type { ValueKind } from './values.ts';
import { splitList } from './written.ts';

export interface MappedSetting<T = unknown> {
  readonly kind: ValueKind<T>;
  /** As it would be written in the YAML, a list without its brackets. */
  readonly byDefault: string;
  readonly meaning: string;
}

export interface ParsedMapping<T> {
  /** Complete, with defaults for what is not written or not valid. */
  readonly values: T;
  readonly problems: readonly string[];
}

export interface SettingsMapping<T> {
  /** The key of the YAML under which it stands. */
  readonly key: 'streams' | 'cache';
  /** In the order of the table. */
  readonly names: readonly (keyof T & string)[];
  setting(name: keyof T & string): MappedSetting;
  /** @param written what the files hold under the key, each merged key by key over those before. */
  parse(written: readonly unknown[]): ParsedMapping<T>;
}

/** @param example what a mapping of this key looks like, for who wrote something else. */
export function createSettingsMapping<T extends object>(
  key: SettingsMapping<T>['key'],
  example: string,
  table: Readonly<Record<keyof T & string, MappedSetting>>,
): SettingsMapping<T> {
  const names = Object.keys(table) as (keyof T & string)[];
  const defaultOf = ({ kind, byDefault }: MappedSetting): unknown =>
    kind.schema.parse(kind.isList ? splitList(byDefault) : byDefault);

  const readKey = (name: string, value: unknown): { readonly value: unknown } | { readonly problem: string } => {
    if (!Object.hasOwn(table, name)) {
      const known = ` There are ${names.join(', ')}.`;
      return { problem: `${key} has an unknown key ${name}.${suggestion(name, names, known)}` };
    }
    if (value === null) return { problem: `${key}.${name} has no value: give it one or remove it` };
    const parsed = table[name as keyof T & string].kind.schema.safeParse(asText(value));
    if (parsed.success) return { value: parsed.data };
    return { problem: `${key}.${name} ${parsed.error.issues[0]?.message ?? 'is not valid'}` };
  };

  return {
    key,
    names,
    setting: (name) => table[name],
    parse(written) {
      const values = new Map<string, unknown>(names.map((name) => [name, defaultOf(table[name])]));
      const problems: string[] = [];
      for (const mapping of written) {
        if (typeof mapping !== 'object' || mapping === null || Array.isArray(mapping)) {
          problems.push(`${key} must be a mapping such as ${example}`);
          continue;
        }
        for (const [name, value] of Object.entries(mapping)) {
          const read = readKey(name, value);
          if ('problem' in read) problems.push(read.problem);
          else values.set(name, read.value);
        }
      }
      return { values: Object.fromEntries(values) as T, problems };
    },
  };
}

/** YAML reads `20` as a number: numbers are read as the text they are. */
const asText = (value: unknown): unknown => (typeof value === 'number' ? String(value) : value);
