/**
 * `Expect: 100-continue` (RFC 9110 §10.1.1): the client is told to go on only when its body is wanted, after every guard
 * has passed. A refusal decided from the headers comes without a 100.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

const waiting = new WeakSet<IncomingMessage>();

/** For the server's `checkContinue` event. */
export function noteExpectation(req: IncomingMessage): void {
  waiting.add(req);
}

/** Sends 100 once, if the client waits for it. */
export function sendContinue(req: IncomingMessage, res: ServerResponse): void {
  if (waiting.delete(req)) res.writeContinue();
}
