// Six widgets that ask again and again, as on a dashboard: what each call got, and how few of them reached Finvera.
import { code, element } from './page.js';

const SYMBOLS = ['AAPL', 'MSFT', 'NVDA', 'AMZN', 'GOOGL', 'TSLA'];
const EVERY_MS = 2_000;

/** @param onError told of an error that ends the asking; true where it has been dealt with. */
export function createWidgets(gateway, onError) {
  let asked = 0;
  /** What Finvera had received before this page began. */
  let before;
  let timer;
  /** A later round, or a stop, takes over from those before it. */
  let round = 0;

  /** Asks for all six at once. */
  async function ask(mine) {
    before ??= await receivedByFinvera();
    await Promise.all(SYMBOLS.map(askOne));
    const received = await receivedByFinvera();
    before = Math.min(before, received);
    if (mine !== round) return;
    element('asked-gateway').textContent = asked;
    element('asked-finvera').textContent = received - before;
  }

  async function askOne(symbol) {
    asked++;
    const path = `/search/api/v1/securities?search=${symbol}&search_type=symbol`;
    const response = await gateway.fetch(path, { headers: { 'X-Session-Activity': 'none' } });
    const [found] = (await response.json()).securities ?? [];
    show(symbol, found?.name ?? `${response.status} ${response.statusText}`, response.headers.get('Cache-Status'));
  }

  async function receivedByFinvera() {
    const response = await gateway.fetch('/__sim/counters');
    return (await response.json()).data.received;
  }

  /** One round after the other, none while nobody looks. */
  async function go() {
    const mine = ++round;
    try {
      if (document.visibilityState === 'visible') await ask(mine);
      if (mine === round && isPolling()) timer = setTimeout(go, EVERY_MS);
    } catch (error) {
      if (mine !== round) return;
      stop();
      onError(error);
    }
  }

  const isPolling = () => element('poll').getAttribute('aria-pressed') === 'true';

  function stop() {
    clearTimeout(timer);
    round++;
    element('poll').setAttribute('aria-pressed', 'false');
  }

  element('poll').addEventListener('click', () => {
    if (isPolling()) return stop();
    element('poll').setAttribute('aria-pressed', 'true');
    void go();
  });

  return {
    start() {
      stop();
      asked = 0;
      before = undefined;
      element('widget-list').replaceChildren(...SYMBOLS.map(itemOf));
      void go();
    },
    stop,
  };
}

function itemOf(symbol) {
  const item = document.createElement('li');
  item.dataset.symbol = symbol;
  const name = document.createElement('p');
  name.textContent = symbol;
  const status = document.createElement('p');
  status.append(code('–'));
  item.append(name, status);
  return item;
}

function show(symbol, name, cacheStatus) {
  const [first, second] = element('widget-list').querySelector(`[data-symbol="${symbol}"]`)?.children ?? [];
  if (!second) return;
  first.textContent = `${symbol}: ${name}`;
  second.replaceChildren(code(cacheStatus?.replace(/^finvera-gateway; /, '') ?? 'no Cache-Status'));
  second.firstElementChild.className = cacheStatus?.includes('; hit') ? 'good' : '';
}
