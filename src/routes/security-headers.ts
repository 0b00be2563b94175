/**
 * The security headers of every answer that is not the frontend's. helmet makes them, once at start: they never differ
 * between requests, and each answer gets the finished list.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import helmet from 'helmet';

const YEAR_SECONDS = 31_536_000;

/** Answers of an API: nothing in them may run, load, or be framed; `sandbox` takes the origin from HTML that Finvera might send. */
const CONTENT_SECURITY_POLICY = {
  useDefaults: false,
  directives: {
    defaultSrc: ["'none'"],
    baseUri: ["'none'"],
    formAction: ["'none'"],
    frameAncestors: ["'none'"],
    sandbox: [],
  },
};

/**
 * @param isHttps whether browsers reach the gateway by https: only then does HSTS mean anything.
 * @returns names and values in turn.
 */
export function createSecurityHeaders(isHttps: boolean): readonly string[] {
  const apply = helmet({
    contentSecurityPolicy: CONTENT_SECURITY_POLICY,
    crossOriginResourcePolicy: { policy: 'same-origin' },
    xFrameOptions: { action: 'deny' },
    referrerPolicy: { policy: 'no-referrer' },
    // For browsers that are gone, or for pages, which these answers are not.
    originAgentCluster: false,
    xDnsPrefetchControl: false,
    xDownloadOptions: false,
    xPermittedCrossDomainPolicies: false,
    xXssProtection: false,
    strictTransportSecurity: isHttps ? { maxAge: YEAR_SECONDS, includeSubDomains: true } : false,
  });
  const list: string[] = [];
  const recorder = {
    setHeader: (name: string, value: string) => list.push(name, value),
    removeHeader: () => undefined,
  };
  apply({} as IncomingMessage, recorder as unknown as ServerResponse, (error?: unknown) => {
    if (error) throw error;
  });
  return list;
}
