/** Decides on every Upgrade where it goes: `/stream` through the pipeline, other paths of the gateway's nowhere, the rest to the frontend. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { decidePath } from '../forwarding/path-decision.ts';
import type { RouteTable } from '../forwarding/route-table.ts';
import type { Frontend } from '../frontend/frontend-proxy.ts';
import { formFault } from '../guards/message-form.ts';
import { GatewayError } from '../kernel/errors.ts';
import { refuseSocket } from './client-error.ts';
import { serveUpgrade } from './pending-upgrade.ts';
import { areaOf } from './pipeline.ts';

export interface UpgradeParts {
  readonly routeTable: RouteTable;
  readonly frontend: Frontend | undefined;
  readonly app: (req: IncomingMessage, res: ServerResponse) => void;
}

export function createUpgradeHandler({ routeTable, frontend, app }: UpgradeParts) {
  return (req: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const fault = formFault(req);
    if (fault) return void refuseSocket(new GatewayError(fault.kind, { detail: fault.detail }), socket);
    const decision = decidePath(req.url ?? '');
    if (decision.kind !== 'path') return void refuseSocket(new GatewayError('invalid_request'), socket);
    const { decoded } = decision.path;
    const area = areaOf(decoded, routeTable.match(decoded));
    if (area === 'stream') return void serveUpgrade(app, req, socket, head);
    if (area !== 'other' || !frontend?.upgrade) return void refuseSocket(new GatewayError('not_found'), socket);
    socket.on('error', () => socket.destroy());
    frontend.upgrade(req, socket, head);
  };
}
