/** Writes the head of a request (RFC 9112 §3, 5). Pure. What would make another message of it is refused, whoever let it in. */

/** Names and values in turn. */
export type Fields = readonly string[];

export interface HeadParts {
  readonly method: string;
  /** Path and query, as they are sent. */
  readonly path: string;
  readonly host: string;
  /** Neither Host nor Transfer-Encoding. */
  readonly fields: Fields;
  /** Bytes; undefined: not known, so that it goes in chunks. */
  readonly bodyLength: number | undefined;
}

const METHOD_FORM = /^[A-Z]{1,16}$/;
const PATH_FORM = /^\/[\x21-\x7e\x80-\xff]*$/;
const NAME_FORM = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** A CR or LF would begin another field, and so would U+010A, of which Latin-1 keeps the last byte (RFC 9110 §5.5). */
const VALUE_FORM = /^[\t\x20-\x7e\x80-\xff]*$/;
/** Servers want to know that these have no body (RFC 9110 §8.6). */
const EXPECT_BODY: readonly string[] = ['POST', 'PUT', 'PATCH'];

/** Names come from a few agents and from this program: what is known to be one is not looked at again. */
const knownNames = new Set<string>();
const MAX_KNOWN_NAMES = 2_000;

/** @throws TypeError for what cannot be sent; nothing was, then. */
export function requestHead({ method, path, host, fields, bodyLength }: HeadParts): string {
  if (!METHOD_FORM.test(method)) throw new TypeError('The method cannot be sent.');
  if (!PATH_FORM.test(path)) throw new TypeError('The path cannot be sent.');
  let head = `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n`;
  let hasLength = false;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    const value = fields[i + 1] as string;
    if (!isName(name)) throw new TypeError('The name of a header field cannot be sent.');
    if (!VALUE_FORM.test(value)) throw new TypeError(`The value of ${name} cannot be sent.`);
    if (isFraming(name)) {
      if (hasLength || name.length !== 14 || Number(value) !== bodyLength)
        throw new TypeError('The framing of the body is not what is sent.');
      hasLength = true;
    }
    head += `${name}: ${value}\r\n`;
  }
  if (bodyLength === undefined) head += 'Transfer-Encoding: chunked\r\n';
  else if (!hasLength && (bodyLength > 0 || EXPECT_BODY.includes(method))) head += `Content-Length: ${bodyLength}\r\n`;
  return `${head}\r\n`;
}

function isName(name: string): boolean {
  if (knownNames.has(name)) return true;
  if (!NAME_FORM.test(name)) return false;
  if (knownNames.size >= MAX_KNOWN_NAMES) knownNames.clear();
  knownNames.add(name);
  return true;
}

/** Content-Length, Transfer-Encoding or Host. */
function isFraming(name: string): boolean {
  if (name.length !== 14 && name.length !== 17 && name.length !== 4) return false;
  const lower = name.toLowerCase();
  return lower === 'content-length' || lower === 'transfer-encoding' || lower === 'host';
}
