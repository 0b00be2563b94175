/** Text that a terminal and a reader of lines take as text only. JSON escapes the line breaks it knows; these are the others. */
const ACTIVE = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** Escapes what could move a terminal's cursor, turn its text around, or end a line for some readers. */
export function inert(text: string): string {
  return text.replace(ACTIVE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Longer values are cut, so that a log cannot be filled by one request. */
export const MAX_VALUE_CHARS = 512;
/** What stands in a JSON string as it is. */
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/** A JSON string, with its quotes, of a value that anyone may have chosen. */
export function quoted(value: string): string {
  const text = value.length > MAX_VALUE_CHARS ? value.slice(0, MAX_VALUE_CHARS) : value;
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(inert(text));
}
