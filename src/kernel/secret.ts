/** A value that must not be seen: prints `[redacted]` wherever it is logged, interpolated, serialised or inspected. */
import { createHash, timingSafeEqual } from 'node:crypto';

const REDACTED = '[redacted]';
const inspectCustom = Symbol.for('nodejs.util.inspect.custom');

export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The value itself, for the one place that needs it. Never log what this returns. */
  reveal(): string {
    return this.#value;
  }

  /** In characters. */
  get length(): number {
    return this.#value.length;
  }

  /** Compares in constant time, so that the time taken tells nothing of the value. */
  equals(other: Secret): boolean {
    const digest = (s: string) => createHash('sha256').update(s).digest();
    return timingSafeEqual(digest(this.#value), digest(other.#value));
  }

  /** A text of somebody else's that may repeat the value, as it is or escaped for an address. */
  hideIn(text: string): string {
    if (this.#value === '') return text;
    return text.replaceAll(this.#value, REDACTED).replaceAll(encodeURIComponent(this.#value), REDACTED);
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [inspectCustom](): string {
    return REDACTED;
  }
}
