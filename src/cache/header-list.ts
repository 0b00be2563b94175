/** Looks into lists of header names and values in turn. Pure. */

/** Names and values in turn, as they came. */
export type HeaderList = readonly string[];

/** All values of a field joined as one list (RFC 9110 §5.3); undefined where it is absent. */
export function fieldOf(headers: HeaderList, lowerName: string): string | undefined {
  let joined: string | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (name.length !== lowerName.length || name.toLowerCase() !== lowerName) continue;
    const value = headers[i + 1] as string;
    joined = joined === undefined ? value : `${joined}, ${value}`;
  }
  return joined;
}

/** The fields whose lower-case name does not match. */
export function withoutFields(headers: HeaderList, drops: (lowerName: string) => boolean): string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (!drops((headers[i] as string).toLowerCase())) kept.push(headers[i] as string, headers[i + 1] as string);
  }
  return kept;
}

/** By lower-case name, without a prototype: names are chosen by others. */
export function fieldsByName(headers: HeaderList): Record<string, string> {
  const byName: Record<string, string> = Object.create(null);
  for (let i = 0; i < headers.length; i += 2) {
    const name = (headers[i] as string).toLowerCase();
    const before = byName[name];
    byName[name] = before === undefined ? (headers[i + 1] as string) : `${before}, ${headers[i + 1]}`;
  }
  return byName;
}
