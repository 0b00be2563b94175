/** What `import … from 'finvera-gateway'` gives: the gateway as parts of somebody else's server. Listens to nothing itself. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type GivenSettings, loadGivenSettings } from './config/load.ts';
import { createRouteTable } from './forwarding/route-table.ts';
import { createGateway as createWhole, type GatewayOptions } from './gateway.ts';
import { hardenServer } from './routes/harden-server.ts';
import { createOwnTargets } from './routes/own-target.ts';

export type { GivenSettings as GatewaySettings } from './config/load.ts';
export type { GatewayOptions } from './gateway.ts';

/** Where the settings cannot be right: all problems at once. */
export class SettingsError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`The gateway's settings are not right:\n${problems.map((each) => `- ${each}`).join('\n')}`);
    this.name = 'SettingsError';
    this.problems = problems;
  }
}

export interface EmbeddedGateway {
  /**
   * For `app.use(gateway.handler)`, at the root and before anything that reads bodies. What is not the gateway's (its
   * paths, `/health*` and those of the routes) goes to `next` untouched; without a `next` it is answered 404.
   */
  handler(req: IncomingMessage, res: ServerResponse, next?: (error?: unknown) => void): void;
  /** For the server's `upgrade` event. @returns false where the upgrade is not the gateway's: nothing was done then. */
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): boolean;
  /** Sets what only a server can: time-outs, manners towards `Expect`, answers to what cannot be parsed. */
  hardenServer(server: Server): void;
  /** `/metrics` and `/health*`, for a listener that only you can reach. */
  management(req: IncomingMessage, res: ServerResponse): void;
  /** Not ready from now on, while everything is still served. */
  beginDrain(): void;
  /** Ends streams and the connections to Redis and Finvera; close the server first. Safe to call twice. */
  close(limitMs?: number): Promise<boolean>;
}

/**
 * @param settings by their names in YAML, values as they are written there: `{ sessionIdleTimeout: '12h' }`. Environment
 * variables are not read, except that `NODE_ENV=production` turns the checks for production on. `port`, `host`,
 * `managementPort` and `frontend` mean nothing here.
 * @throws SettingsError
 */
export function createGateway(settings: GivenSettings = {}, options: GatewayOptions = {}): EmbeddedGateway {
  const loaded = loadGivenSettings(settings);
  if (loaded.kind === 'invalid') throw new SettingsError(loaded.problems);
  const { frontend: _, ...used } = loaded.settings;
  const gateway = createWhole(used, options);
  for (const warning of loaded.warnings) gateway.log.warn({ event: 'settings' }, warning);
  const isOwn = createOwnTargets(createRouteTable(used.routes));
  return {
    handler(req, res, next) {
      const { baseUrl = '', originalUrl = req.url ?? '' } = req as { baseUrl?: string; originalUrl?: string };
      if (next && !isOwn(originalUrl)) return next();
      const mistake = mountingMistake(req, baseUrl);
      if (mistake === undefined) return gateway.app(req, res);
      const error = new Error(`finvera-gateway: ${req.method} ${originalUrl.split('?')[0]}: ${mistake}`);
      if (!next) throw error;
      next(error);
    },
    upgrade(req, socket, head) {
      if (!isOwn(req.url ?? '')) return false;
      gateway.upgrade(req, socket, head);
      return true;
    },
    hardenServer: (server) => hardenServer(server, { app: gateway.app, log: gateway.log, isOwn }),
    management: gateway.management,
    beginDrain: gateway.beginDrain,
    close: gateway.close,
  };
}

/** What would otherwise show as a request that hangs, or a 404 that nobody understands. */
function mountingMistake(req: IncomingMessage, baseUrl: string): string | undefined {
  if (baseUrl !== '') return `mount the gateway at the root, not below ${baseUrl}`;
  const hasBody = req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
  if (hasBody && req.readableDidRead)
    return 'its body has been read before: mount the gateway before express.json() and whatever else reads bodies';
  return undefined;
}
