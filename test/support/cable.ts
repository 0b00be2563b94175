// A cable between a browser and a gateway that a test can cut: what is open breaks, and nothing gets through until it is mended.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface Cable {
  readonly port: number;
  cut(): void;
  mend(): void;
  close(): Promise<void>;
}

export async function layCable(toPort: number): Promise<Cable> {
  const open = new Set<Socket>();
  let isCut = false;
  const join = (one: Socket, other: Socket) => {
    open.add(one);
    one.pipe(other);
    // What became of it is the other end's to show.
    one.on('error', () => undefined);
    one.on('close', () => {
      open.delete(one);
      other.destroy();
    });
  };
  const server = createServer((near) => {
    if (isCut) return void near.destroy();
    const far = connect(toPort, '127.0.0.1');
    join(near, far);
    join(far, near);
  });
  const breakAll = () => {
    for (const socket of open) socket.destroy();
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      isCut = true;
      breakAll();
    },
    mend() {
      isCut = false;
    },
    close() {
      breakAll();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
