/** Text that a terminal and a reader of lines take as text only. JSON escapes the line breaks it knows; these are the others. */
const ACTIVE = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** Escapes what could move a terminal's cursor, turn its text around, or end a line for some readers. */
export function inert(text: string): string {
  return text.replace(ACTIVE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
