// The two of Finvera's calls that this page makes, and as much of their answers as it shows.
import type { GatewayClient } from './gateway.ts';
import { type Problem, problemOf, problemOfAnswer } from './problem.ts';

export interface NewsEvent {
  readonly event_id: string;
  readonly headline: string;
  readonly description: string;
  readonly symbol: string;
  readonly event_type: string;
  readonly sentiment: string;
  readonly occurred_at: string;
}

export interface Security {
  readonly figi: string;
  readonly isin: string;
  readonly name: string;
  readonly symbol: string;
}

export type Outcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'failed'; readonly problem: Problem };

export const eventsPath = (query: Readonly<Record<string, string>>) =>
  `/delivery/api/v1/events?${new URLSearchParams(query)}`;

export const securitiesPath = (search: string, searchType: string) =>
  `/search/api/v1/securities?${new URLSearchParams({ search, search_type: searchType })}`;

/** @throws only the signal's reason. */
export async function getJson<T>(client: GatewayClient, path: string, signal?: AbortSignal): Promise<Outcome<T>> {
  try {
    const response = await client.fetch(path, signal ? { signal } : {});
    if (!response.ok) return { kind: 'failed', problem: await problemOfAnswer(response) };
    return { kind: 'done', value: (await response.json()) as T };
  } catch (error) {
    if (signal?.aborted) throw error;
    return { kind: 'failed', problem: problemOf(error) };
  }
}
