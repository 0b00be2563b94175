// The reverse proxies of deploy/, each as the real program with the example's own configuration: only ports, certificate
// and folders are others. A certificate of its own, a folder with a page, and calls to it as a browser makes them.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type RequestOptions, request } from 'node:https';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CallOptions, Reply } from './http-client.ts';
import { freePort } from './redis-server.ts';
import { until } from './until.ts';

/** The name in the examples. */
export const SITE = 'app.example.com';
/** Debian keeps it where only root's PATH leads. */
const PATH = `${process.env.PATH}:/usr/sbin`;

export interface ReverseProxy {
  readonly httpsPort: number;
  readonly httpPort: number;
  /** The authority of its certificate. */
  readonly ca: string;
  /** A request of the browser, from the address that `localAddress` names. */
  call(path: string, options?: CallOptions & { readonly localAddress?: string }): Promise<Reply>;
  close(): Promise<void>;
}

interface Place {
  readonly folder: string;
  readonly httpsPort: number;
  readonly httpPort: number;
  readonly gatewayPort: number;
  /** Of a second instance, where there is one. */
  readonly secondPort?: number;
}

interface Program {
  readonly name: string;
  /** Writes the configuration and says how it is started. */
  command(place: Place): readonly [file: string, ...args: string[]];
}

const example = (path: string) => readFileSync(fileURLToPath(new URL(`../../deploy/${path}`, import.meta.url)), 'utf8');

/** Replaces every one, and fails where there is none: the example says something else by now. */
function replaced(text: string, changes: readonly (readonly [from: string, to: string])[]): string {
  return changes.reduce((changed, [from, to]) => {
    if (!changed.includes(from)) throw new Error(`the example does not say ${from}`);
    return changed.replaceAll(from, to);
  }, text);
}

const nginx: Program = {
  name: 'nginx',
  command({ folder, httpsPort, httpPort, gatewayPort, secondPort }) {
    const servers = [gatewayPort, secondPort].flatMap((port) => (port ? [`server 127.0.0.1:${port};`] : []));
    const site = replaced(example('nginx/gateway.conf'), [
      ...(secondPort ? [['#hash $gateway_session', 'hash $gateway_session'] as const] : []),
      ['listen 443 ssl', `listen 127.0.0.1:${httpsPort} ssl`],
      ['  listen [::]:443 ssl;\n', ''],
      ['listen 80;', `listen 127.0.0.1:${httpPort};`],
      ['  listen [::]:80;\n', ''],
      ['server 127.0.0.1:3000;', servers.join(' ')],
      [`/etc/nginx/tls/${SITE}`, `${folder}/cert`],
      ['/srv/app', `${folder}/app`],
    ]);
    const file = join(folder, 'nginx.conf');
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `  ${name}_temp_path ${folder}/${name};\n`,
    );
    writeFileSync(
      file,
      `user ${userInfo().username};\nworker_processes 1;\ndaemon off;\npid ${folder}/nginx.pid;\n` +
        `events { worker_connections 512; }\nhttp {\n  access_log off;\n  include /etc/nginx/mime.types;\n${temporary.join('')}${site}}\n`,
    );
    return ['nginx', '-c', file, '-e', 'stderr'];
  },
};

const caddy: Program = {
  name: 'caddy',
  command({ folder, httpsPort, httpPort, gatewayPort }) {
    const text = replaced(example('caddy/Caddyfile'), [
      ['\tadmin off\n', `\tadmin off\n\thttp_port ${httpPort}\n\thttps_port ${httpsPort}\n`],
      [`${SITE} {\n`, `${SITE} {\n\tbind 127.0.0.1\n\ttls ${folder}/cert.pem ${folder}/cert.key\n`],
      ['127.0.0.1:3000', `127.0.0.1:${gatewayPort}`],
      ['/srv/app', `${folder}/app`],
    ]);
    writeFileSync(join(folder, 'Caddyfile'), text);
    return ['caddy', 'run', '--config', join(folder, 'Caddyfile'), '--adapter', 'caddyfile'];
  },
};

/** nginx, which the check installs; Caddy where it is there. */
export const PROXIES: readonly Program[] = [
  nginx,
  ...(spawnSync('caddy', ['version'], { env: { ...process.env, PATH } }).status === 0 ? [caddy] : []),
];

/** @throws where it cannot be started; what it said is in the message. */
export async function startReverseProxy(
  program: Program,
  gatewayPort: number,
  secondPort?: number,
): Promise<ReverseProxy> {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-proxy-'));
  const [httpsPort, httpPort] = [await freePort(), await freePort()];
  makeCertificate(folder);
  mkdirSync(join(folder, 'app'));
  writeFileSync(join(folder, 'app/index.html'), '<!doctype html><title>The page</title>\n');
  const [file, ...args] = program.command({
    ...{ folder, httpsPort, httpPort, gatewayPort },
    ...(secondPort ? { secondPort } : {}),
  });
  const env = { ...process.env, PATH, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      said += String(chunk);
    });
  }
  let isGone = false;
  child.once('error', ({ message }) => {
    said += message;
    isGone = true;
  });
  child.once('exit', () => {
    isGone = true;
  });
  await until(`${program.name} listening`, async () => isGone || (await accepts(httpsPort)), 20_000);
  if (isGone) throw new Error(`${program.name} did not start: ${said}`);
  const ca = readFileSync(join(folder, 'cert.pem'), 'utf8');
  return {
    httpsPort,
    httpPort,
    ca,
    call: (path, options = {}) => callThrough({ port: httpsPort, ca, path }, options),
    async close() {
      await end(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function makeCertificate(folder: string): void {
  const { status, stderr } = spawnSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...[
        '-days',
        '2',
        '-subj',
        `/CN=${SITE}`,
        '-addext',
        `subjectAltName=DNS:${SITE}`,
        '-keyout',
        `${folder}/cert.key`,
        '-out',
        `${folder}/cert.pem`,
      ],
    ],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(stderr);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  // At once, workers too: nginx's TERM is the quick one.
  child.kill('SIGTERM');
  await ended;
}

function callThrough(
  target: Pick<RequestOptions, 'port' | 'ca' | 'path'>,
  { method = 'GET', headers = {}, body, localAddress }: CallOptions & { readonly localAddress?: string },
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        ...target,
        ...(localAddress ? { localAddress } : {}),
        host: '127.0.0.1',
        servername: SITE,
        method,
        headers: { Host: SITE, ...headers },
        agent: false,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const whole = Buffer.concat(chunks);
          const { statusCode = 0, headers: received } = response;
          resolve({
            status: statusCode,
            headers: received,
            setCookies: received['set-cookie'] ?? [],
            body: whole,
            text: whole.toString('utf8'),
          });
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}
