// The securities and events the simulated Finvera knows; the same in every run. Decides nothing about who may see them.

/** A security in Finvera's shape. */
export interface Security {
  readonly figi: string;
  readonly isin: string;
  readonly name: string;
  readonly symbol: string;
  readonly mic_code: string;
  readonly figi_composite: string;
  readonly figi_share_class: string;
  readonly refinitiv_exch_code: string;
}

/** An event in Finvera's shape. */
export interface MarketEvent {
  readonly event_id: string;
  readonly title: string;
  readonly headline: string;
  readonly description: string;
  readonly symbol: string;
  readonly exchange: string;
  readonly figis: readonly string[];
  readonly event_type: string;
  readonly source: string;
  readonly sentiment: string;
  readonly occurred_at: string;
  readonly created_at: string;
  readonly updated_at: string;
  readonly securities: readonly Security[];
}

const LISTINGS = [
  ['AAPL', 'Apple Inc', 'US0378331005', 'BBG000B9XRY4'],
  ['MSFT', 'Microsoft Corp', 'US5949181045', 'BBG000BPH459'],
  ['NVDA', 'NVIDIA Corp', 'US67066G1040', 'BBG000BBJQV0'],
  ['AMZN', 'Amazon.com Inc', 'US0231351067', 'BBG000BVPV84'],
  ['GOOGL', 'Alphabet Inc Class A', 'US02079K3059', 'BBG009S39JX6'],
  ['META', 'Meta Platforms Inc', 'US30303M1027', 'BBG000MM2P62'],
  ['TSLA', 'Tesla Inc', 'US88160R1014', 'BBG000N9MNX3'],
  ['AMD', 'Advanced Micro Devices Inc', 'US0079031078', 'BBG000BBQCY0'],
] as const;

/** Every security, in a fixed order. */
export const SECURITIES: readonly Security[] = LISTINGS.map(([symbol, name, isin, figi]) => ({
  figi,
  isin,
  name,
  symbol,
  mic_code: 'XNAS',
  figi_composite: figi,
  figi_share_class: `${figi.slice(0, -1)}S`,
  refinitiv_exch_code: 'NSQ',
}));

const EVENT_COUNT = 400;
const FIRST_EVENT_AT_MS = Date.UTC(2026, 0, 5, 14, 30);
const HOUR_MS = 3_600_000;
const TYPES = ['earnings', 'guidance', 'dividend', 'analyst_rating', 'product'];
const SENTIMENTS = ['positive', 'neutral', 'negative'];

function eventOf(index: number): MarketEvent {
  const security = SECURITIES[index % SECURITIES.length] as Security;
  const eventType = TYPES[index % TYPES.length] as string;
  const at = new Date(FIRST_EVENT_AT_MS + index * HOUR_MS).toISOString();
  const number = String(index + 1).padStart(4, '0');
  return {
    event_id: `evt-${number}`,
    title: `${security.symbol} ${eventType}`,
    headline: `${security.name}: ${eventType}`,
    description: `Simulated event ${number}: ${security.name} is the subject of a made-up ${eventType} that stands for what Finvera would report here.`,
    symbol: security.symbol,
    exchange: 'NASDAQ',
    figis: [security.figi],
    event_type: eventType,
    source: 'simulator',
    sentiment: SENTIMENTS[index % SENTIMENTS.length] as string,
    occurred_at: at,
    created_at: at,
    updated_at: at,
    securities: [security],
  };
}

/** Every event, oldest first. */
export const EVENTS: readonly MarketEvent[] = Array.from({ length: EVENT_COUNT }, (_, index) => eventOf(index));

/** Every tenth event is for other tiers than `standard` only, so that tiers differ in what they see. */
export function isRestricted(event: MarketEvent): boolean {
  return event.event_id.endsWith('0');
}
