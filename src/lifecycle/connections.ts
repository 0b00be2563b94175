/** Opens and closes HTTP servers. Closing: no new connection, in-flight answers end, and at the limit whatever is left is cut. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

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

/** @returns the port, also where any free one was asked for. @throws the listener's error, such as a taken port. */
export function listenOn(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}
