// One large body down and one up, through the gateway and a bare proxy: time, processor time and memory.
import { request } from 'node:http';
import { createSimulator } from '../../simulator/simulator.ts';
import { residentBytes } from '../../test/support/process-usage.ts';
import { bareProxy } from '../contenders/node-peers.ts';
import { startGateway } from '../contenders/this-gateway.ts';
import { forgeSessions } from '../forge.ts';
import { ACCESS_TOKEN, type Header } from '../job.ts';
import { familyCpuSeconds } from '../pinned.ts';
import { startStage } from '../stage.ts';
import { type Cell, GB, MB, type Part, type Section, table } from './part.ts';

const BLOCK = Buffer.alloc(65_536, 120);
const SAMPLE_MS = 50;

export const bulk: Part = { name: 'bulk', run };

interface Path {
  readonly label: string;
  readonly port: number;
  readonly pid: number;
  readonly credential: Header | undefined;
}

async function run(): Promise<Section> {
  await using stack = new AsyncDisposableStack();
  const stage = await startStage();
  stack.defer(() => stage.end());
  // Its server key is everybody's token: nobody needs to log in.
  const finvera = await createSimulator({ record: false, apiKey: ACCESS_TOKEN });
  stack.defer(() => finvera.close());
  const target = { ...stage, upstreamPort: finvera.port };
  const bare = await bareProxy.start(target);
  stack.defer(() => bare.end());
  const gateway = await startGateway(target, { MAX_BODY_BYTES: '1gb' });
  stack.defer(() => gateway.end());
  const [cookie = ''] = await forgeSessions(stage.redisUrl, 1);
  const paths: Path[] = [
    { label: 'bare proxy', port: bare.port, pid: bare.pid ?? 0, credential: undefined },
    { label: 'this gateway', port: gateway.port, pid: gateway.pid, credential: ['Cookie', cookie] },
  ];
  const rows: Cell[][] = [];
  const violations: string[] = [];
  for (const [direction, transfer] of [
    ['down', download],
    ['up', upload],
  ] as const) {
    for (const path of paths) {
      await transfer(path, GB / 16);
      const { bytes, seconds, cpu, peakGrowth, after } = await watch(path.pid, () => transfer(path, GB));
      if (bytes !== GB) violations.push(`${path.label}: ${bytes} bytes ${direction} instead of ${GB}`);
      rows.push([`${path.label}, 1 GB ${direction}`, GB / MB / seconds, cpu, peakGrowth / MB, after / MB]);
    }
  }
  const head = ['path', 'MB/s', 'CPU s/GB', 'memory growth at most, MB', 'growth at the end, MB'];
  return {
    title: 'Large bodies',
    text: `One gigabyte in one body, from or to the simulator, after 64 MB to warm up. Memory is resident memory above that before the transfer.

${table(head, rows)}`,
    violations,
  };
}

async function watch(pid: number, transfer: () => Promise<number>) {
  const before = residentBytes(pid);
  const cpuBefore = familyCpuSeconds(pid);
  const startedAt = performance.now();
  let peak = before;
  const sampling = setInterval(() => {
    peak = Math.max(peak, residentBytes(pid));
  }, SAMPLE_MS);
  try {
    const bytes = await transfer();
    const seconds = (performance.now() - startedAt) / 1_000;
    const after = residentBytes(pid) - before;
    return { bytes, seconds, cpu: familyCpuSeconds(pid) - cpuBefore, peakGrowth: peak - before, after };
  } finally {
    clearInterval(sampling);
  }
}

function headersOf({ credential }: Path): Record<string, string> {
  return { 'Sec-Fetch-Site': 'same-origin', ...(credential ? { [credential[0]]: credential[1] } : {}) };
}

/** @returns how many bytes came. */
function download(path: Path, bytes: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = { port: path.port, host: '127.0.0.1', path: `/delivery/api/v1/__bytes/${bytes}` };
    const sent = request({ ...options, headers: headersOf(path), agent: false }, (answer) => {
      let received = 0;
      answer.on('data', (chunk: Buffer) => {
        received += chunk.length;
      });
      answer.once('error', reject);
      answer.once('end', () => resolve(received));
    });
    sent.once('error', reject);
    sent.end();
  });
}

/** @returns how many bytes the other end says it got. */
function upload(path: Path, bytes: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { ...headersOf(path), 'Content-Type': 'application/octet-stream', 'Content-Length': String(bytes) };
    const options = { port: path.port, host: '127.0.0.1', path: '/delivery/api/v1/__echo', method: 'POST' };
    const sent = request({ ...options, headers, agent: false }, (answer) => {
      let text = '';
      answer.on('data', (chunk: Buffer) => {
        text += String(chunk);
      });
      answer.once('error', reject);
      answer.once('end', () => resolve(Number(/"bodyBytes":(\d+)/.exec(text)?.[1])));
    });
    sent.once('error', reject);
    let left = bytes;
    const fill = () => {
      while (left > 0) {
        const chunk = left < BLOCK.length ? BLOCK.subarray(0, left) : BLOCK;
        left -= chunk.length;
        if (!sent.write(chunk)) return void sent.once('drain', fill);
      }
      sent.end();
    };
    fill();
  });
}
