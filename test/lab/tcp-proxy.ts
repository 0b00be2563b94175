// A TCP proxy that can be cut: connections stay open and no byte passes, as when a cable is pulled; or all are reset.
import { connect, createServer, type Socket } from 'node:net';

export interface TcpProxy {
  readonly port: number;
  /** No byte passes in either direction; nobody is told. */
  freeze(): void;
  thaw(): void;
  /** Every connection ends at once, and new ones are refused until `open`. */
  cut(): void;
  open(): void;
  close(): Promise<void>;
}

export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let frozen = false;
  let refusing = false;
  const server = createServer((inbound) => {
    if (refusing) return void inbound.resetAndDestroy();
    const outbound = connect(targetPort, '127.0.0.1');
    const pair = [inbound, outbound] as const;
    pairs.add(pair);
    const pass = (from: Socket, to: Socket) => {
      from.on('data', (chunk) => to.write(chunk));
      from.on('error', () => to.destroy());
      from.on('close', () => {
        pairs.delete(pair);
        if (!frozen) to.destroy();
      });
    };
    pass(inbound, outbound);
    pass(outbound, inbound);
    if (frozen) for (const socket of pair) socket.pause();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const each = (act: (socket: Socket) => void) => {
    for (const pair of pairs) for (const socket of pair) act(socket);
  };
  return {
    port,
    freeze() {
      frozen = true;
      each((socket) => socket.pause());
    },
    thaw() {
      frozen = false;
      each((socket) => socket.resume());
    },
    cut() {
      refusing = true;
      each((socket) => socket.resetAndDestroy());
    },
    open() {
      refusing = false;
    },
    close() {
      each((socket) => socket.destroy());
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
