// What one stream has subscribed to, and which messages that brings. Sends nothing.

/** One subscription as it was asked for. */
export interface Subscription {
  /** A symbol, or `*` for all. */
  readonly symbol: string;
  /** Undefined: messages of every type. */
  readonly type: string | undefined;
  /** `params`: asked for in the second documented form, and served in it. */
  readonly form: 'symbol' | 'params';
}

/** The subscriptions of one stream. */
export interface Subscriptions {
  add(subscription: Subscription): void;
  /** Without a type every type of the symbol ends; `*` ends those of all symbols. */
  remove(symbol: string, type: string | undefined): void;
  /** The form in which a message is wanted; undefined where it is not. A message without a type is of every type. */
  wants(symbol: string, type: string | undefined): 'symbol' | 'params' | 'both' | undefined;
  list(): Subscription[];
}

/** Builds an empty set. */
export function createSubscriptions(): Subscriptions {
  const bySymbol = new Map<string, Subscription[]>();

  function keep(symbol: string, kept: Subscription[]): void {
    if (kept.length > 0) bySymbol.set(symbol, kept);
    else bySymbol.delete(symbol);
  }

  return {
    add(subscription) {
      const there = bySymbol.get(subscription.symbol) ?? [];
      const isThere = there.some(({ type, form }) => type === subscription.type && form === subscription.form);
      if (!isThere) keep(subscription.symbol, [...there, subscription]);
    },
    remove(symbol, type) {
      for (const one of symbol === '*' ? [...bySymbol.keys()] : [symbol]) {
        const there = bySymbol.get(one) ?? [];
        keep(one, type === undefined ? [] : there.filter((subscription) => subscription.type !== type));
      }
    },
    wants(symbol, type) {
      let found: Subscription['form'] | undefined;
      for (const one of [...(bySymbol.get(symbol) ?? []), ...(bySymbol.get('*') ?? [])]) {
        const isWanted = one.type === undefined || type === undefined || one.type === type;
        if (isWanted && found !== undefined && found !== one.form) return 'both';
        if (isWanted) found = one.form;
      }
      return found;
    },
    list: () => [...bySymbol.values()].flat(),
  };
}
