import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { whenGone } from '../../../src/forwarding/client-connection.ts';

const createSocket = () => Object.assign(new EventEmitter(), { destroyed: false }) as unknown as Socket;

describe('whenGone', () => {
  test('tells every request on a connection that it is gone, once', () => {
    const socket = createSocket();
    const told: string[] = [];
    whenGone(socket, () => told.push('first'));
    whenGone(socket, () => told.push('second'));
    socket.emit('close');
    socket.emit('close');
    expect(told.sort()).toEqual(['first', 'second']);
  });

  test('tells nobody who has stopped watching', () => {
    const socket = createSocket();
    const told: string[] = [];
    const stop = whenGone(socket, () => told.push('first'));
    whenGone(socket, () => told.push('second'));
    stop();
    socket.emit('close');
    expect(told).toEqual(['second']);
  });

  test('listens to a connection once, however many requests come over it', () => {
    const socket = createSocket();
    for (let i = 0; i < 50; i += 1) whenGone(socket, () => undefined)();
    expect(socket.listenerCount('close')).toBe(1);
  });

  test('tells at once where the connection is gone already, but not before it returns', async () => {
    const socket = Object.assign(createSocket(), { destroyed: true });
    let isTold = false;
    const stop = whenGone(socket, () => {
      isTold = true;
    });
    expect(isTold).toBe(false);
    await Promise.resolve();
    expect(isTold).toBe(true);
    stop();
  });
});
