/** Tells the gateway's own requests from those of an application that it is mounted in. */
import { decidePath } from '../forwarding/path-decision.ts';
import type { RouteTable } from '../forwarding/route-table.ts';
import { areaOf } from './pipeline.ts';

/** @returns true for what the gateway answers. A target it would refuse is the application's: no credential goes with it. */
export function createOwnTargets(routeTable: RouteTable): (target: string) => boolean {
  return (target) => {
    const decision = decidePath(target);
    if (decision.kind !== 'path' && decision.kind !== 'absolute') return false;
    const { decoded } = decision.path;
    return areaOf(decoded, routeTable.match(decoded)) !== 'other';
  };
}
