/** A value as some source wrote it, before it is read; shared by the sources. */
import type { SettingName } from './schema.ts';

export interface Written {
  readonly name: SettingName;
  /** A text; for a list the texts; from YAML possibly something that is neither. */
  readonly value: unknown;
  /** `default`, the name of a file, or a variable. */
  readonly origin: string;
  /** What a problem's sentence begins with. */
  readonly place: string;
}

/** What one source holds. */
export interface Source {
  readonly written: readonly Written[];
  readonly problems: readonly string[];
  /** Settings that are here, but so that they could not be read; `all` where the whole source could not. */
  readonly unread: readonly SettingName[] | 'all';
  readonly warnings: readonly string[];
}

/** How a list is written in a variable. */
export function splitList(text: string): readonly string[] {
  return text.trim() === '' ? [] : text.split(',').map((entry) => entry.trim());
}
