/**
 * Reads HTTP/1.1 answers from the bytes of one connection (RFC 9112 §4–7). It knows no socket. Where the RFC lets a
 * recipient be lenient it is not: what two readers could read in two ways is no answer (RFC 9112 §11.2).
 */
import { headTooLarge, malformed } from './exchange-fault.ts';

/** Names and values in turn, as they came. */
export type FieldList = string[];

export interface AnswerReader {
  /** Once: the final status, 200 to 599, and its header fields, as Latin-1. */
  onHead(status: number, fields: FieldList): void;
  /** @param bytes belong to the reader during the call only: what follows is written over them. */
  onBody(bytes: Buffer): void;
}

/** Status line and header fields; trailers apart. As much as common servers send at most. */
export const MAX_HEAD_BYTES = 16 * 1024;
const MAX_CHUNK_LINE_BYTES = 256;

const HEAD_END = Buffer.from('\r\n\r\n');
const LINE_END = Buffer.from('\r\n');
const CR = 0x0d;
const LF = 0x0a;

// biome-ignore-start lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
/** All of a head but its last line break, which is empty. No obs-fold (RFC 9112 §5.2), no space before a colon (§5.1). */
const HEAD_FORM =
  /^HTTP\/1\.[01] [1-5]\d\d(?: [\t\x20-\x7e\x80-\xff]*)?\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*$/;
/** In a part of a head: a CR or LF without the other. No head becomes valid after it. */
const STRAY = /(?:^|[^\r])\n|\r(?=[^\n])/;
// biome-ignore-end lint/suspicious/noControlCharactersInRegex: see above
const HEAD_BEGINNING = 'HTTP/1.';
const LENGTH_FORM = /^\d{1,15}$/;
const TRAILER_FORM = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*$/;
const CHUNK_LINE_FORM =
  /^[0-9a-f]{1,12}(?:;[!#$%&'*+.^_`|~0-9a-z-]+(?:=(?:[!#$%&'*+.^_`|~0-9a-z-]+|"[^"\\\r\n]*"))?)*$/i;
const KEEP_ALIVE_FORM = /(?:^|[\s,;])timeout=(\d{1,6})(?:$|[\s,;])/i;

type State =
  | 'over'
  | 'beginning'
  | 'head'
  | 'counted'
  | 'chunk size'
  | 'chunk'
  | 'chunk end'
  | 'trailers'
  | 'until close';

/** One at a time: `expect`, then `read` until `isOver`. Its fields are for the connection that feeds it. */
export class AnswerParser {
  /** While set, `read` takes nothing more; it may be set from within the reader's calls. */
  isPaused = false;
  /** Of the last head: the connection can bear another exchange, as far as the server says. */
  keepsConnection = false;
  /** Of the last head, in milliseconds: how long the server keeps an idle connection; undefined where it does not say. */
  keepAliveMs: number | undefined;
  #state: State = 'over';
  #reader: AnswerReader | undefined;
  #isHead = false;
  /** What came of a head, or of a line between chunks, that is not whole. */
  #partial = '';
  #trailerBytes = 0;
  /** Bytes that are still to come of a counted body or of a chunk. */
  #left = 0;

  /** Of the answer, or no answer is expected. */
  get isOver(): boolean {
    return this.#state === 'over';
  }

  /** @param method of the request: an answer to HEAD has no body (RFC 9112 §6.3). */
  expect(method: string, reader: AnswerReader): void {
    this.#state = 'beginning';
    this.#reader = reader;
    this.#isHead = method === 'HEAD';
    this.#partial = '';
    this.#trailerBytes = 0;
    this.isPaused = false;
    this.keepsConnection = false;
    this.keepAliveMs = undefined;
  }

  /** Nothing more is read, whatever state it was in. */
  abandon(): void {
    this.#state = 'over';
    this.#reader = undefined;
  }

  /**
   * @returns how many bytes were taken: fewer than given where the answer ended before them, or where the reader paused.
   * @throws ExchangeFault `malformed`
   */
  read(bytes: Buffer): number {
    let at = 0;
    while (at < bytes.length && this.#state !== 'over' && !this.isPaused) at = this.#step(bytes, at);
    return at;
  }

  /** The connection ended. @returns true where that is the end of the answer, too (RFC 9112 §6.3, 8). */
  end(): boolean {
    if (this.#state !== 'until close') return false;
    this.#state = 'over';
    return true;
  }

  #step(bytes: Buffer, at: number): number {
    switch (this.#state) {
      case 'beginning':
        return this.#passEmptyLines(bytes, at);
      case 'head':
        return this.#readHead(bytes, at);
      case 'counted':
      case 'chunk':
        return this.#readCounted(bytes, at);
      case 'until close':
        this.#reader?.onBody(bytes.subarray(at));
        return bytes.length;
      default:
        return this.#readLine(bytes, at);
    }
  }

  /** Some servers end a body with a line break that is not counted; it comes before the next head (RFC 9112 §2.2). */
  #passEmptyLines(bytes: Buffer, at: number): number {
    const byte = bytes[at];
    if (byte === CR && this.#partial === '') this.#partial = '\r';
    else if (byte === LF && this.#partial === '\r') this.#partial = '';
    else if (this.#partial === '') {
      this.#state = 'head';
      return at;
    } else throw malformed('That is no HTTP answer.');
    return at + 1;
  }

  #readHead(bytes: Buffer, at: number): number {
    const end = this.#partial === '' ? bytes.indexOf(HEAD_END, at) : -1;
    if (end >= 0) {
      // The usual case: the whole head in one piece.
      this.#takeHead(bytes.toString('latin1', at, end + LINE_END.length));
      return end + HEAD_END.length;
    }
    const before = this.#partial.length;
    const text = this.#partial + bytes.toString('latin1', at, at + MAX_HEAD_BYTES + 1);
    const textEnd = text.indexOf('\r\n\r\n');
    if (textEnd < 0) {
      if (text.length > MAX_HEAD_BYTES) throw headTooLarge();
      if (!startsAsHead(text) || STRAY.test(text)) throw malformed('That is no HTTP answer.');
      this.#partial = text;
      return bytes.length;
    }
    this.#partial = '';
    this.#takeHead(text.slice(0, textEnd + LINE_END.length));
    return at + textEnd + HEAD_END.length - before;
  }

  #takeHead(head: string): void {
    if (head.length > MAX_HEAD_BYTES) throw headTooLarge();
    if (!HEAD_FORM.test(head)) throw malformed('That is no HTTP answer.');
    const status = Number(head.slice(9, 12));
    // Nobody asked for another protocol (RFC 9110 §15.2.2).
    if (status === 101) throw malformed('Nobody asked for another protocol.');
    // Other interim answers concern this hop only, 100 too where nobody asked for it (§15.2).
    if (status >= 200) this.#begin(status, head);
  }

  #begin(status: number, head: string): void {
    const isOldVersion = head.charCodeAt(7) === 0x30;
    const fields: FieldList = [];
    let length: number | undefined;
    let isChunked = false;
    let saysClose = false;
    let saysKeep = false;
    let at = head.indexOf('\r\n') + 2;
    while (at < head.length) {
      const colon = head.indexOf(':', at);
      const end = head.indexOf('\r\n', colon);
      const name = head.slice(at, colon);
      const value = withoutBlanks(head, colon + 1, end);
      fields.push(name, value);
      at = end + 2;
      // Those that say how to read on have these lengths; few others have.
      if (name.length === 14 && name.toLowerCase() === 'content-length') {
        // A second one is a second opinion of where the next answer begins, even if it agrees (RFC 9112 §6.3, 5).
        if (length !== undefined || !LENGTH_FORM.test(value)) throw malformed('The Content-Length is not valid.');
        length = Number(value);
      } else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') {
        if (isChunked || isOldVersion || value.toLowerCase() !== 'chunked')
          throw malformed('The Transfer-Encoding is not understood.');
        isChunked = true;
      } else if (name.length === 10) {
        const lower = name.toLowerCase();
        if (lower === 'connection') {
          saysClose ||= hasOption(value, 'close');
          saysKeep ||= hasOption(value, 'keep-alive');
        } else if (lower === 'keep-alive') this.keepAliveMs = keepAliveMsOf(value);
      }
    }
    if (isChunked && length !== undefined) throw malformed('The answer has two lengths.');
    const hasNoBody = this.#isHead || status === 204 || status === 304;
    if (hasNoBody || length === 0) this.#state = 'over';
    else if (isChunked) this.#state = 'chunk size';
    else this.#state = length === undefined ? 'until close' : 'counted';
    this.#left = length ?? 0;
    this.keepsConnection = !saysClose && (saysKeep || !isOldVersion) && this.#state !== 'until close';
    this.#reader?.onHead(status, fields);
  }

  #readCounted(bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + this.#left);
    this.#left -= end - at;
    const isLast = this.#left === 0;
    if (isLast) this.#state = this.#state === 'chunk' ? 'chunk end' : 'over';
    this.#reader?.onBody(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
    return end;
  }

  /** A line between chunks: a size, the end of a chunk's data, a trailer (RFC 9112 §7.1). */
  #readLine(bytes: Buffer, at: number): number {
    const feed = bytes.indexOf(LF, at);
    const end = feed < 0 ? bytes.length : feed + 1;
    const most = this.#state === 'trailers' ? MAX_HEAD_BYTES : MAX_CHUNK_LINE_BYTES;
    if (this.#partial.length + end - at > most) throw malformed('A line between chunks is too long.');
    const text = this.#partial + bytes.toString('latin1', at, end);
    if (feed < 0) {
      if (STRAY.test(text)) throw malformed('A line between chunks is not valid.');
      this.#partial = text;
      return end;
    }
    this.#partial = '';
    if (!text.endsWith('\r\n')) throw malformed('A line between chunks is not valid.');
    this.#takeLine(text.slice(0, -2));
    return end;
  }

  #takeLine(line: string): void {
    if (this.#state === 'chunk end') {
      if (line !== '') throw malformed('A chunk is longer than its size.');
      this.#state = 'chunk size';
    } else if (this.#state === 'chunk size') {
      if (!CHUNK_LINE_FORM.test(line)) throw malformed('The size of a chunk is not valid.');
      this.#left = Number.parseInt(line, 16);
      this.#state = this.#left === 0 ? 'trailers' : 'chunk';
    } else if (line === '') {
      this.#state = 'over';
    } else {
      // Nobody is told of trailers: a field that comes after the decision on its kind is dropped (RFC 9110 §6.5.1).
      this.#trailerBytes += line.length;
      if (this.#trailerBytes > MAX_HEAD_BYTES || !TRAILER_FORM.test(line)) throw malformed('A trailer is not valid.');
    }
  }
}

function startsAsHead(text: string): boolean {
  return text.length < HEAD_BEGINNING.length ? HEAD_BEGINNING.startsWith(text) : text.startsWith(HEAD_BEGINNING);
}

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09;

/** Optional white space around a value is none of it (RFC 9112 §5.1). */
function withoutBlanks(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

/** Of one Connection field (RFC 9112 §9.3). */
function hasOption(value: string, option: string): boolean {
  return value.split(',').some((each) => each.trim().toLowerCase() === option);
}

function keepAliveMsOf(value: string): number | undefined {
  const seconds = KEEP_ALIVE_FORM.exec(value)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1_000;
}
