/** Decides on every Upgrade. Upgrades pass no middleware: the same checks stand here. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { decidePath } from '../forwarding/path-decision.ts';
import type { RouteTable } from '../forwarding/route-table.ts';
import type { Frontend } from '../frontend/frontend-proxy.ts';
import { formFault } from '../guards/message-form.ts';
import { GatewayError } from '../kernel/errors.ts';
import { refuseSocket } from './client-error.ts';
import { areaOf } from './pipeline.ts';

/** Only a dev server behind `FRONTEND` takes one. */
export function createUpgradeHandler(routeTable: RouteTable, frontend: Frontend | undefined) {
  return (req: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const fault = formFault(req);
    if (fault) return void refuseSocket(new GatewayError(fault.kind, { detail: fault.detail }), socket);
    const decision = decidePath(req.url ?? '');
    if (decision.kind !== 'path') return void refuseSocket(new GatewayError('invalid_request'), socket);
    const { decoded } = decision.path;
    const isOurs = decoded === '/stream' || areaOf(decoded, routeTable.match(decoded)) !== 'other';
    if (isOurs || !frontend?.upgrade) return void refuseSocket(new GatewayError('not_found'), socket);
    socket.on('error', () => socket.destroy());
    frontend.upgrade(req, socket, head);
  };
}
