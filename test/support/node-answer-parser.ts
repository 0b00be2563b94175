// Node's own parser of answers (llhttp), for comparison: of one text, what it reads of the first answer.
import { createRequire } from 'node:module';

interface NodeParser {
  [callback: number]: (...args: never[]) => unknown;
  initialize(type: number, resource: object): void;
  execute(bytes: Buffer): number | Error;
}

/** Not for programs, but the same code that `node:http` runs; it has no public door. */
const { HTTPParser } = createRequire(import.meta.url)('_http_common') as {
  readonly HTTPParser: (new () => NodeParser) & Record<string, number>;
};

const IS_SKIPPING_BODY = 1;

/** @returns undefined where it takes no whole answer of it. */
export function readByNode(text: string, method: string) {
  const parser = new HTTPParser();
  parser.initialize(HTTPParser.RESPONSE as number, {});
  let status: number | undefined;
  let fields: string[] = [];
  let moreFields: string[] = [];
  let body = '';
  let end: number | undefined;
  const on = (name: string, callback: (...args: never[]) => unknown) => {
    parser[HTTPParser[name] as number] = callback;
  };
  on('kOnHeaders', (list: string[]) => {
    moreFields.push(...list);
  });
  on('kOnHeadersComplete', ((
    _major: number,
    _minor: number,
    list: string[] | undefined,
    _m: unknown,
    _u: unknown,
    code: number,
  ) => {
    const isInterim = code >= 100 && code < 200;
    status = code;
    fields = isInterim ? [] : [...moreFields, ...(list ?? [])];
    moreFields = [];
    return method === 'HEAD' || isInterim ? IS_SKIPPING_BODY : 0;
  }) as never);
  on('kOnBody', (bytes: Buffer) => {
    body += bytes.toString('latin1');
  });
  on('kOnMessageComplete', () => {
    if (status !== undefined && status >= 200) end ??= 0;
  });
  const bytes = Buffer.from(text, 'latin1');
  // Byte for byte: so it shows after which one the first answer is whole.
  for (let at = 0; at < bytes.length && end === undefined; at += 1) {
    const result = parser.execute(bytes.subarray(at, at + 1));
    if (result instanceof Error) return undefined;
    if (end === 0) end = at + 1;
  }
  if (end === undefined) return undefined;
  return { status, fields, body, rest: text.slice(end) };
}
