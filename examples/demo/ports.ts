// The demo's ports: which ones, and whether they are free. Binds each for a moment and lets it go again.
import { createServer } from 'node:net';

export interface DemoPorts {
  readonly page: number;
  readonly finvera: number;
  readonly management: number;
}

/** A sentence for whoever started the demo. */
export class CannotStart extends Error {}

/** The variable of each port and its default; 0 takes any free port. */
const VARIABLES = {
  page: ['DEMO_PORT', 3000],
  finvera: ['DEMO_FINVERA_PORT', 4000],
  management: ['DEMO_MANAGEMENT_PORT', 9090],
} as const satisfies Record<keyof DemoPorts, readonly [string, number]>;

/** `localhost` means both: a program on one of them would get half of the demo's visitors. */
const LOOPBACKS = ['127.0.0.1', '::1'];

/** @throws CannotStart naming the variable of a port that is bad, taken, or named twice. */
export async function findPorts(env: Readonly<Record<string, string | undefined>>): Promise<DemoPorts> {
  const taken = new Map<number, string>();
  const find = async (name: keyof DemoPorts): Promise<number> => {
    const [variable, standard] = VARIABLES[name];
    const wanted = readPort(variable, env[variable], standard);
    const port = wanted === 0 ? await anyFreePort(taken) : await freePort(wanted, variable);
    const other = taken.get(port);
    if (other) throw new CannotStart(`${variable} and ${other} are both ${port}: each needs a port of its own.`);
    taken.set(port, variable);
    return port;
  };
  return { page: await find('page'), finvera: await find('finvera'), management: await find('management') };
}

function readPort(variable: string, text: string | undefined, standard: number): number {
  if (text === undefined || text.trim() === '') return standard;
  const port = Number(text);
  if (/^\d+$/.test(text.trim()) && port <= 65_535) return port;
  throw new CannotStart(`${variable} must be a whole number from 0 to 65535, not '${text}'.`);
}

async function freePort(port: number, variable: string): Promise<number> {
  for (const host of LOOPBACKS) {
    const code = await bindOnce(port, host);
    if (code === 'EADDRINUSE') {
      throw new CannotStart(
        `Port ${port} is in use: end the program that holds it, or choose another port with ${variable}.`,
      );
    }
    if (code === 'EACCES') {
      throw new CannotStart(`Port ${port} may not be used by this user: choose another one with ${variable}.`);
    }
  }
  return port;
}

export async function anyFreePort(taken: ReadonlyMap<number, string> = new Map()): Promise<number> {
  for (;;) {
    const port = await new Promise<number>((resolve, reject) => {
      const server = createServer();
      server.once('error', reject);
      server.listen(0, '127.0.0.1', () => {
        const address = server.address();
        server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
      });
    });
    if (!taken.has(port)) return port;
  }
}

/** @returns the error's code, or undefined where the port could be had. A host without IPv6 answers EADDRNOTAVAIL. */
function bindOnce(port: number, host: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'unknown'));
    server.listen({ port, host, ipv6Only: true }, () => server.close(() => resolve(undefined)));
  });
}
