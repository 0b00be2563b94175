// Live quotes: one stream while somebody is logged in. Shows each price as it comes, and why it stops.
import { code, element } from './page.js';

const SYMBOLS = ['AAPL', 'MSFT', 'NVDA', 'AMZN', 'GOOGL', 'TSLA'];
const SESSION_ENDED = 4401;
const WORDS = { connecting: 'Connecting …', open: 'Live', waiting: 'The connection is lost. Trying again …' };

/** @param onEnded told where the session ended, in whatever window. */
export function createQuotes(gateway, onEnded) {
  let stream;
  let cells = new Map();

  function start() {
    stop();
    cells = new Map(SYMBOLS.map((symbol) => [symbol, rowOf(symbol)]));
    element('quote-rows').replaceChildren(...[...cells.values()].map(({ row }) => row));
    stream = gateway.stream();
    stream.on('state', (state) => state !== 'closed' && show(state, WORDS[state]));
    stream.on('message', note);
    stream.on('closed', ({ code: closedWith }) => {
      if (closedWith !== SESSION_ENDED) return;
      show('stopped', 'Stopped: the session has ended. The stream was closed with ', code(String(SESSION_ENDED)), '.');
      onEnded();
    });
    show('connecting', WORDS.connecting);
    for (const symbol of SYMBOLS) stream.subscribe(symbol, { type: 'quote' });
  }

  function stop() {
    stream?.close();
    stream = undefined;
  }

  function note(message) {
    if (message.event === 'upstream') {
      const isBack = message.state === 'connected';
      show(isBack ? 'open' : 'waiting', isBack ? WORDS.open : 'Finvera is away. The gateway connects again …');
    }
    const shown = cells.get(message.symbol);
    const { price, seq } = message;
    // The answer to `subscribe` names symbol and type, too.
    if (price === undefined || !shown) return;
    if (shown.last !== undefined) showMove(shown, price - shown.last);
    shown.last = price;
    shown.price.textContent = price.toFixed(2);
    shown.seq.textContent = seq;
  }

  return { start, stop };
}

/** The state is told to screen readers; prices, which come several a second, are not. */
function show(state, ...words) {
  element('quotes-view').dataset.state = state;
  element('quotes-state').replaceChildren(...words);
}

function showMove(shown, by) {
  const [word, sign] = by > 0 ? ['up', '▲'] : by < 0 ? ['down', '▼'] : ['same', '='];
  shown.move.className = word;
  shown.move.textContent = `${sign} ${Math.abs(by).toFixed(2)}`;
}

function rowOf(symbol) {
  const row = document.createElement('tr');
  const name = document.createElement('th');
  name.scope = 'row';
  name.textContent = symbol;
  const [price, move, seq] = ['–', '', ''].map((text) => {
    const cell = document.createElement('td');
    cell.textContent = text;
    return cell;
  });
  row.append(name, price, move, seq);
  return { row, price, move, seq, last: undefined };
}
