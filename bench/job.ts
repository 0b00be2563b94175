// The one job that every contender does: which path, which tokens, which request. Sends nothing itself.

export const EVENT_PATH = '/delivery/api/v1/events/evt-0001';

/** Tokens of the sizes that a real Finvera's have: 900 and 700 characters. */
export const ACCESS_TOKEN = `access.${'a'.repeat(893)}`;
export const REFRESH_TOKEN = `refresh.${'r'.repeat(692)}`;

/** A session lives this long without activity, in every contender. */
export const IDLE_SECONDS = 12 * 3_600;

export type Header = readonly [name: string, value: string];

const BROWSER_HEADERS: readonly Header[] = [
  ['User-Agent', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'],
  ['Accept', 'application/json'],
  ['Accept-Language', 'en-GB,en;q=0.5'],
  ['Accept-Encoding', 'gzip, deflate, br, zstd'],
  ['Sec-Fetch-Dest', 'empty'],
  ['Sec-Fetch-Mode', 'cors'],
  ['Sec-Fetch-Site', 'same-origin'],
];

/** What a browser sends, but for the line that authenticates it and the empty one at the end. */
export function requestHead(port: number, path = EVENT_PATH): string {
  const headers = [['Host', `127.0.0.1:${port}`], ...BROWSER_HEADERS];
  const lines = headers.map(([name, value]) => `${name}: ${value}`);
  return `${[`GET ${path} HTTP/1.1`, ...lines].join('\r\n')}\r\n`;
}
