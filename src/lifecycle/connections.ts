/** Closes an HTTP server: no new connection, in-flight answers end, and at the limit whatever is left is cut. */
import type { Server } from 'node:http';

/** @returns true where every connection ended by itself within `limitMs`. */
export function closeServer(server: Server, limitMs: number): Promise<boolean> {
  if (!server.listening) return Promise.resolve(true);
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      resolve(false);
      server.closeAllConnections();
    }, limitMs);
    server.close(() => {
      clearTimeout(timer);
      resolve(true);
    });
    // Keep-alive connections without a request would hold the close until their timeout.
    server.closeIdleConnections();
  });
}
