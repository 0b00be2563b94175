/** 405 with Allow, for paths that exist (RFC 9110 §15.5.6). */
import type { RequestHandler } from 'express';
import { GatewayError } from '../kernel/errors.ts';

export function methodNotAllowed(allow: readonly string[]): RequestHandler {
  return () => {
    throw new GatewayError('method_not_allowed', { allow });
  };
}
