// What the stream replies to a client's message. Changes nothing but that stream's subscriptions.
import type { RawData } from 'ws';
import type { Subscriptions } from './stream-subscriptions.ts';

const INVALID = {
  error: { code: 400, message: 'Invalid request parameters', details: 'Unknown action, or no symbol' },
};

/** The reply to one message; the shape of replies is not documented, this is the simulator's guess. */
export function replyTo(data: RawData, subscriptions: Subscriptions, symbols: () => readonly string[]): unknown {
  const message = parse(data);
  if (message === undefined) return INVALID;
  switch (message.action) {
    case 'list':
      return { action: 'list', symbols: symbols() };
    case 'subscribed':
      return { action: 'subscribed', symbols: [...new Set(subscriptions.list().map(({ symbol }) => symbol))] };
    case 'subscribe':
    case 'unsubscribe':
      return change(message, message.action, subscriptions);
    case 'echo':
      return message;
    case 'ping':
      return { action: 'pong' };
    default:
      return INVALID;
  }
}

function change(message: Record<string, unknown>, action: 'subscribe' | 'unsubscribe', subscriptions: Subscriptions) {
  const { symbol, type, params } = message;
  const hasType = typeof type === 'string' && type !== '';
  const form = typeof symbol === 'string' ? 'symbol' : 'params';
  const named = typeof symbol === 'string' ? [symbol] : symbolsIn(params);
  if (named.length === 0 || named.includes('')) return INVALID;
  for (const one of named) {
    if (action === 'subscribe') subscriptions.add({ symbol: one, type: hasType ? type : undefined, form });
    else subscriptions.remove(one, hasType ? type : undefined);
  }
  return { action, ...(form === 'symbol' ? { symbol } : { params }), ...(hasType ? { type } : {}), status: 'ok' };
}

/** `params` of the second form: symbols in a list or between commas, each with or without an event's name before it (`FMV.AAPL`). */
function symbolsIn(params: unknown): string[] {
  const parts = Array.isArray(params) ? params : typeof params === 'string' ? params.split(',') : [];
  return parts.map((part) =>
    String(part)
      .trim()
      .replace(/^FMV\./, ''),
  );
}

function parse(data: RawData): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(String(data));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
