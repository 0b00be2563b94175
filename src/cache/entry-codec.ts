/** Turns a kept answer into bytes and back, its body compressed where that pays. It neither seals nor stores. */
import { promisify } from 'node:util';
import { brotliCompress, brotliDecompress, constants } from 'node:zlib';
import * as z from 'zod';
import type { CacheEntry } from './cache-entry.ts';
import { fieldOf } from './header-list.ts';

const compress = promisify(brotliCompress);
const decompress = promisify(brotliDecompress);
/** Quick rather than small: it runs for every answer that is kept. */
const QUALITY = 4;

const text = z.string().optional();
const form = z.object({
  s: z.number(),
  h: z.array(z.string()),
  c: z.object({ cacheControl: text, expires: text, pragma: text, vary: text }),
  q: z.number(),
  b: z.number(),
  f: z.number(),
  w: z.number(),
  e: z.number(),
  o: z.string(),
  r: z.string(),
  p: z.string(),
  u: z.string(),
  /** How the body is compressed here, apart from what Finvera did. */
  z: z.enum(['br', '']),
});

/** @param compressFrom bodies at least this large are compressed, unless they are already. */
export async function encodeEntry(entry: CacheEntry, compressFrom: number): Promise<Buffer> {
  const isLarge = entry.body.byteLength >= compressFrom && fieldOf(entry.headers, 'content-encoding') === undefined;
  const compressed = isLarge
    ? await compress(entry.body, { params: { [constants.BROTLI_PARAM_QUALITY]: QUALITY } })
    : undefined;
  const isSmaller = compressed !== undefined && compressed.byteLength < entry.body.byteLength;
  const meta: z.infer<typeof form> = {
    s: entry.status,
    h: [...entry.headers],
    c: entry.control as z.infer<typeof form>['c'],
    q: entry.requestedAt,
    b: entry.bornAt,
    f: entry.freshForMs,
    w: entry.staleWhileRevalidateMs,
    e: entry.staleIfErrorMs,
    o: entry.scope,
    r: entry.route,
    p: entry.path,
    u: entry.uriKey,
    z: isSmaller ? 'br' : '',
  };
  const head = Buffer.from(JSON.stringify(meta));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(head.byteLength);
  return Buffer.concat([length, head, isSmaller ? compressed : entry.body]);
}

/**
 * @param maxBodyBytes no body becomes larger than this, whatever its compressed form says.
 * @returns undefined where the bytes are no entry, such as one of another version.
 */
export async function decodeEntry(bytes: Buffer, maxBodyBytes: number): Promise<CacheEntry | undefined> {
  try {
    const length = bytes.readUInt32BE(0);
    const meta = form.parse(JSON.parse(bytes.toString('utf8', 4, 4 + length)));
    const stored = bytes.subarray(4 + length);
    const body = meta.z === 'br' ? await decompress(stored, { maxOutputLength: maxBodyBytes }) : Buffer.from(stored);
    return {
      status: meta.s,
      headers: meta.h,
      body,
      control: meta.c as CacheEntry['control'],
      requestedAt: meta.q,
      bornAt: meta.b,
      freshForMs: meta.f,
      staleWhileRevalidateMs: meta.w,
      staleIfErrorMs: meta.e,
      scope: meta.o,
      route: meta.r,
      path: meta.p,
      uriKey: meta.u,
    };
  } catch {
    return undefined;
  }
}
