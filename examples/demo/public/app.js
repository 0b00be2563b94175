// The demo page: shows what the gateway's browser client does. Keeps nothing but what is on the screen.
import { createGatewayClient, GatewayError } from '/bff/client.js';
import { code, element } from './page.js';
import { createQuotes } from './quotes.js';
import { createWidgets } from './widgets.js';

const gateway = createGatewayClient();
const quotes = createQuotes(gateway, showEnded);
const widgets = createWidgets(gateway, (error) => {
  if (isSessionOver(error)) showEnded();
  else say('widgets-result', ...describe(error));
});

/** Moments in milliseconds at which session, idle time and token end; undefined while nobody is logged in. */
let ends;

// ---- Which of the two views ----

function showLogin(message) {
  ends = undefined;
  quotes.stop();
  widgets.stop();
  element('call-body').firstElementChild.textContent = '';
  element('call-empty').hidden = false;
  for (const id of ['session-view', 'logout', 'who-short', 'call-body']) element(id).hidden = true;
  for (const id of ['call-result', 'refresh-result', 'sessions-result', 'session-list']) {
    element(id).replaceChildren();
  }
  element('login-view').hidden = false;
  say('notice', message);
  element('login-title').focus();
}

function showSession({ user, session }) {
  // What was typed stays nowhere.
  element('login-form').reset();
  say('login-error');
  say('notice');
  element('user-name').textContent = user.username;
  element('user-email').textContent = user.email;
  element('user-tier').textContent = user.licensing_tier_id;
  element('who-short').textContent = user.email;
  showTimes(session);
  showWhatScriptsSee();
  element('login-view').hidden = true;
  for (const id of ['session-view', 'logout', 'who-short']) element(id).hidden = false;
  element('who-title').textContent = 'You are logged in';
  element('who-title').focus();
  quotes.start();
  widgets.start();
}

/** The session ended, and not here: what was there stays to be seen, and stands still. */
function showEnded() {
  ends = undefined;
  widgets.stop();
  element('who-title').textContent = 'You were logged in';
  say('notice', 'The session has ended, in another window or by its time. Whatever you do next leads to the login.');
}

/** Fills a line and shows it, or hides it where there is nothing to say. Parts are text or elements. */
function say(id, ...parts) {
  const line = element(id);
  const said = parts.filter((part) => part !== undefined && part !== '');
  line.replaceChildren(...said);
  line.hidden = said.length === 0;
}

// ---- Errors: every one has a code ----

/** Runs one action of the visitor's; its button rests meanwhile. A session that is over leads back to the login. */
async function act(button, lineId, action) {
  // Not `disabled`: the keyboard's focus would be lost.
  if (button.getAttribute('aria-disabled') === 'true') return;
  button.setAttribute('aria-disabled', 'true');
  try {
    await action();
  } catch (error) {
    if (isSessionOver(error)) showLogin(messageOf(error));
    else say(lineId, ...describe(error));
  } finally {
    button.removeAttribute('aria-disabled');
  }
}

const isSessionOver = (error) =>
  error instanceof GatewayError && ['session_required', 'session_expired'].includes(error.code);

const messageOf = (error) => (error instanceof Error ? error.message : String(error));

function describe(error) {
  if (!(error instanceof GatewayError)) return [messageOf(error)];
  const status = error.status === 0 ? '' : ` (${error.status})`;
  const name = code(error.code);
  name.className = 'bad';
  return [name, `${status} ${error.message}`];
}

// ---- Time that remains ----

const CLOCKS = {
  'left-session': 'expires_in',
  'left-idle': 'idle_expires_in',
  'left-token': 'access_token_expires_in',
};

function showTimes(session) {
  const now = Date.now();
  ends = Object.fromEntries(Object.entries(CLOCKS).map(([id, member]) => [id, now + session[member] * 1000]));
  tick();
}

function tick() {
  if (!ends) return;
  const now = Date.now();
  for (const [id, end] of Object.entries(ends))
    element(id).textContent = inWords(Math.max(0, Math.round((end - now) / 1000)));
}

const UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
  ['s', 1],
];

/** 93784 is `1 d 2 h 3 min 4 s`. */
function inWords(seconds) {
  let rest = seconds;
  const parts = UNITS.map(([unit, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return [count, unit];
  });
  const first = parts.findIndex(([count]) => count > 0);
  return (first < 0 ? [[0, 's']] : parts.slice(first)).map(([count, unit]) => `${count}\u00a0${unit}`).join(' ');
}

/** Asks what is true now, without being activity. Finds a session that was ended elsewhere. */
async function askAgain() {
  if (!ends) return;
  try {
    const { session } = await (await gateway.fetch('/bff/session?slide=false')).json();
    if (ends) showTimes(session);
  } catch (error) {
    if (isSessionOver(error)) showLogin(messageOf(error));
    else say('notice', ...describe(error));
  }
}

setInterval(() => {
  const isOver = ends && Object.values(ends).some((end) => end <= Date.now());
  tick();
  if (isOver && document.visibilityState === 'visible') void askAgain();
}, 1000);
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') void askAgain();
});

// ---- What scripts can see ----

function showWhatScriptsSee() {
  element('seen-cookie').textContent = document.cookie === '' ? 'empty' : document.cookie;
  element('seen-local').textContent = namesIn(localStorage);
  element('seen-session').textContent = namesIn(sessionStorage);
}

const namesIn = (storage) => (storage.length === 0 ? 'empty' : Object.keys(storage).join(', '));

// ---- Sessions of this user ----

async function showSessions() {
  const sessions = await gateway.sessions();
  const ownFirst = sessions.toSorted((a, b) => Number(b.current) - Number(a.current));
  element('session-list').replaceChildren(...ownFirst.map(sessionItem));
  element('end-others').hidden = sessions.length < 2;
}

function sessionItem(session) {
  const item = document.createElement('li');
  const text = document.createElement('div');
  const name = document.createElement('p');
  const browser = browserOf(session.user_agent);
  name.textContent = browser;
  if (session.current) {
    const badge = document.createElement('span');
    badge.className = 'badge';
    badge.textContent = 'this browser';
    name.append(' ', badge);
  }
  const more = document.createElement('p');
  more.className = 'hint';
  more.textContent = `${session.ip} · since ${timeOf(session.created_at)} · last seen ${timeOf(session.last_seen_at)}`;
  text.append(name, more);
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = 'End';
  button.setAttribute(
    'aria-label',
    session.current ? 'End this session' : `End the session of ${browser}, ${session.ip}`,
  );
  button.addEventListener('click', () => act(button, 'sessions-result', () => endSession(session)));
  item.append(text, button);
  return item;
}

async function endSession(session) {
  await gateway.endSession(session.id);
  if (session.current) return showLogin('You ended this session.');
  await showSessions();
  say('sessions-result', 'The session is ended.');
  element('sessions-title').focus();
}

/** Of today, the time says it. */
function timeOf(moment) {
  const date = new Date(moment);
  const isToday = date.toDateString() === new Date().toDateString();
  return date.toLocaleString([], isToday ? { timeStyle: 'short' } : { dateStyle: 'medium', timeStyle: 'short' });
}

/** `Chrome 140 on Linux`; the whole text where it is none of the known ones. */
function browserOf(userAgent) {
  const browser = /(Firefox|Edg|HeadlessChrome|Chrome|Version)\/(\d+)/.exec(userAgent);
  const system = /(Windows|Android|iPhone|iPad|Mac OS X|Linux)/.exec(userAgent);
  if (!browser || !system) return userAgent || 'Unknown browser';
  const names = { Edg: 'Edge', HeadlessChrome: 'Chrome', Version: 'Safari' };
  return `${names[browser[1]] ?? browser[1]} ${browser[2]} on ${system[1].replace('Mac OS X', 'macOS')}`;
}

// ---- Calls of Finvera's API ----

async function callFinvera(path) {
  const startedAt = performance.now();
  const response = await gateway.fetch(path);
  const text = await response.text();
  const took = Math.round(performance.now() - startedAt);
  const status = document.createElement('strong');
  status.className = response.ok ? 'good' : 'bad';
  status.textContent = `${response.status} ${response.statusText}`.trim();
  say('call-result', status, ` in ${took} ms, request `, code(response.headers.get('X-Request-Id') ?? 'unknown'));
  const body = element('call-body');
  body.firstElementChild.textContent = pretty(text);
  body.hidden = false;
  body.scrollTop = 0;
  await askAgain();
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

// ---- What the visitor does ----

element('login-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const { email, password } = event.target.elements;
  say('login-error');
  void act(event.target.querySelector('button'), 'login-error', async () => {
    try {
      const answer = await gateway.login(email.value, password.value);
      showSession(answer);
    } catch (error) {
      password.select();
      throw error;
    }
    await showSessions();
  });
});

element('logout').addEventListener('click', (event) => {
  void act(event.currentTarget, 'notice', async () => {
    await gateway.logout();
    showLogin('You are logged out.');
  });
});

element('refresh').addEventListener('click', (event) => {
  void act(event.currentTarget, 'refresh-result', async () => {
    const response = await gateway.fetch('/bff/refresh', { method: 'POST' });
    const { session } = await response.json();
    showTimes(session);
    say(
      'refresh-result',
      `Done. The token is good for ${inWords(session.access_token_expires_in)}. Asked again within 30 s, the same one stays.`,
    );
  });
});

element('reload-sessions').addEventListener('click', (event) => {
  void act(event.currentTarget, 'sessions-result', async () => {
    await showSessions();
    say('sessions-result', 'Reloaded.');
  });
});

element('end-others').addEventListener('click', (event) => {
  void act(event.currentTarget, 'sessions-result', async () => {
    await gateway.fetch('/bff/sessions?except=current', { method: 'DELETE' });
    await showSessions();
    say('sessions-result', 'All other sessions are ended.');
    element('sessions-title').focus();
  });
});

// Not every browser lets the keyboard scroll what cannot be focused.
element('call-body').tabIndex = 0;
for (const button of document.querySelectorAll('[data-call]')) {
  button.addEventListener('click', () => {
    void act(button, 'call-result', async () => {
      for (const id of ['call-empty', 'call-body']) element(id).hidden = true;
      await callFinvera(button.dataset.call);
    });
  });
}

// ---- Start ----

try {
  const answer = await gateway.session();
  if (answer) {
    showSession(answer);
    await showSessions();
  } else {
    showLogin();
  }
} catch (error) {
  showLogin();
  say('notice', ...describe(error));
}
