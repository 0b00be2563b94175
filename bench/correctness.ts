// Whether a contender does the job at all: a fast wrong answer is worth nothing. Measures no time.
import { request } from 'node:http';
import { EVENTS } from '../simulator/market-data.ts';
import type { Contender, RunningContender } from './contender.ts';
import { ACCESS_TOKEN, EVENT_PATH, REFRESH_TOKEN } from './job.ts';
import type { RunningStage } from './stage.ts';

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly head: string;
}

/** @returns what is wrong, in sentences; empty: nothing. */
export async function faultsOf(
  { label }: Contender,
  { port, pid, credential }: RunningContender,
  stage: RunningStage,
): Promise<string[]> {
  const faults: string[] = [];
  const expect = (holds: boolean, sentence: string) => {
    if (!holds) faults.push(`${label}: ${sentence}`);
  };

  const good: Answer[] = [];
  const head = await stage.headDuring(async () => {
    good.push(await ask(port, credential));
  });
  const [answer] = good;
  expect(answer?.status === 200, `answers ${answer?.status} instead of 200`);
  expect(answer?.body === JSON.stringify(EVENTS[0]), 'answers another body than the upstream');
  expect(head?.includes(`uthorization: Bearer ${ACCESS_TOKEN}\r\n`) === true, 'the upstream gets no bearer');
  const hasCookie = /^cookie:/im.test(head ?? '');
  expect(!hasCookie, 'the upstream gets the cookie');
  const shown = `${answer?.head}${answer?.body}`;
  expect(!shown.includes(ACCESS_TOKEN) && !shown.includes(REFRESH_TOKEN), 'the browser gets a token');

  if (credential === undefined) return faults;
  const anonymous: Answer[] = [];
  const leaked = await stage.headDuring(async () => {
    anonymous.push(await ask(port, undefined));
  });
  expect(anonymous[0]?.status === 401, `answers ${anonymous[0]?.status} instead of 401 without a session`);
  if (pid !== undefined) expect(leaked === undefined, 'forwards a request without a session');
  return faults;
}

function ask(port: number, credential: RunningContender['credential']): Promise<Answer> {
  const headers = { Accept: 'application/json', ...(credential ? { [credential[0]]: credential[1] } : {}) };
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', path: EVENT_PATH, headers, agent: false }, (answer) => {
      let body = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => {
        body += chunk;
      });
      answer.once('end', () => {
        resolve({ status: answer.statusCode ?? 0, body, head: answer.rawHeaders.join('\n') });
      });
    });
    sent.once('error', reject);
    sent.end();
  });
}
