// A page of a foreign origin, with everything such a page can make a browser send to a gateway. Served by `startForeignSite`.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * What runs in the page: `forms`, `fetches`, `elements`, `beacons`, `sockets` each send all they can and resolve with
 * what the page came to know of the answers, `'nothing'` where that is nothing.
 */
const SCRIPT = `
const within = (ms, work, otherwise) =>
  Promise.race([work, new Promise((resolve) => setTimeout(() => resolve(otherwise), ms))]);
const add = (element) => document.body.appendChild(element);
let frames = 0;

window.forms = (targets) => Promise.all(targets.flatMap((target) =>
  ['application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain'].map((enctype) => {
    const frame = document.createElement('iframe');
    frame.name = 'frame' + (frames += 1);
    add(frame);
    const form = document.createElement('form');
    Object.assign(form, { action: target, method: 'post', enctype, target: frame.name });
    // With text/plain the field reads as JSON: {"email":"attacker@finvera.test","password":"demo-password","x":"=x"}
    const fields = { '{"email":"attacker@finvera.test","password":"demo-password","x":"': 'x"}', _method: 'DELETE',
      email: 'attacker@finvera.test', password: 'demo-password' };
    for (const [name, value] of Object.entries(fields)) {
      form.append(Object.assign(document.createElement('input'), { name, value, type: 'hidden' }));
    }
    add(form);
    return within(10_000, new Promise((resolve) => {
      frame.onload = () => {
        let seen = 'nothing';
        try {
          const { body } = frame.contentDocument;
          if (frame.contentWindow.location.href === 'about:blank') return;
          seen = body.innerText;
        } catch { /* of another origin */ }
        resolve(seen);
      };
      form.submit();
    }), 'nothing');
  })));

window.fetches = (targets) => {
  const requests = [];
  for (const mode of ['cors', 'no-cors', 'same-origin']) {
    for (const credentials of ['omit', 'same-origin', 'include']) {
      requests.push({ mode, credentials });
      requests.push({ mode, credentials, method: 'POST' });
      requests.push({ mode, credentials, method: 'POST', body: '{}', headers: { 'Content-Type': 'text/plain' } });
      requests.push({ mode, credentials, method: 'POST', body: new URLSearchParams({ a: 'b' }), keepalive: true });
      if (mode === 'no-cors') continue;
      const headers = { 'Content-Type': 'application/json', 'X-CSRF': '1' };
      requests.push({ mode, credentials, method: 'POST', body: '{}', headers });
      requests.push({ mode, credentials, method: 'DELETE', headers });
    }
  }
  return Promise.all(targets.flatMap((target) => requests.map(async (request) => {
    try {
      const response = await fetch(target, request);
      const text = await response.text();
      return response.type === 'opaque' && text === '' ? 'nothing' : response.status + ' ' + text;
    } catch {
      return 'nothing';
    }
  })));
};

window.elements = (targets) => Promise.all(targets.flatMap((target) =>
  [['img', 'src'], ['script', 'src'], ['iframe', 'src'], ['embed', 'src'], ['object', 'data'], ['video', 'src'],
    ['link', 'href']].map(([tag, attribute]) => {
    const element = document.createElement(tag);
    if (tag === 'link') element.rel = 'stylesheet';
    element[attribute] = target;
    const done = within(5_000, new Promise((resolve) => {
      element.onload = () => {
        try {
          resolve(tag === 'iframe' || tag === 'object' ? element.contentDocument?.body.innerText || 'nothing'
            : tag === 'embed' ? 'nothing' : 'loaded as ' + tag);
        } catch {
          resolve('nothing');
        }
      };
      element.onerror = () => resolve('nothing');
    }), 'nothing');
    add(element);
    return done;
  })));

window.beacons = async (targets) => targets.map((target) =>
  navigator.sendBeacon(target, new URLSearchParams({ a: 'b' })) && navigator.sendBeacon(target, 'text') && 'nothing');

window.sockets = (socketTargets, eventTargets) => Promise.all([
  ...socketTargets.map((target) => within(10_000, new Promise((resolve) => {
    const socket = new WebSocket(target);
    socket.onopen = () => resolve('open');
    socket.onerror = () => resolve('nothing');
  }), 'nothing')),
  ...eventTargets.flatMap((target) => [true, false].map((withCredentials) =>
    within(10_000, new Promise((resolve) => {
      const source = new EventSource(target, { withCredentials });
      source.onopen = () => resolve('open');
      source.onerror = () => { source.close(); resolve('nothing'); };
    }), 'nothing'))),
]);
`;

const PAGE = `<!doctype html><html lang="en"><title>foreign</title><link rel="icon" href="data:,"><body><script>${SCRIPT}</script></body></html>`;

export interface ForeignSite {
  readonly port: number;
  close(): Promise<void>;
}

/** Listens on every IPv4 loopback address: which host it is called by makes its origin, and its site. */
export async function startForeignSite(): Promise<ForeignSite> {
  const server = createServer((_request, response) => {
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    response.end(PAGE);
  });
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
