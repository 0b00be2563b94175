/** Classes for the server's messages that are Express's from their birth. Not needed for any answer: only for speed. */
import { IncomingMessage, ServerResponse } from 'node:http';
import type { Express } from 'express';

/**
 * Express gives every request and response another prototype, and engines forget what they know of an object's shape
 * when that happens. With these it finds its own prototypes there already.
 */
export function createMessageClasses(app: Express): {
  readonly IncomingMessage: typeof IncomingMessage;
  readonly ServerResponse: typeof ServerResponse<IncomingMessage>;
} {
  class GatewayRequest extends IncomingMessage {}
  class GatewayResponse extends ServerResponse<IncomingMessage> {}
  app.request = adopt(GatewayRequest.prototype, app.request);
  app.response = adopt(GatewayResponse.prototype, app.response);
  return { IncomingMessage: GatewayRequest, ServerResponse: GatewayResponse };
}

/** `own` stands between an instance and what Express has put together for this application. */
function adopt<T extends object>(own: object, express: T): T {
  return Object.setPrototypeOf(own, express) as T;
}
