// What every error of the gateway's own looks like (contract §5), checked member by member.
import { expect } from '@jest/globals';
import { json, type Reply } from './http-client.ts';

/** Fails unless the reply is exactly this problem; says nothing of its cookies. */
export function expectProblem(reply: Reply, status: number, code: string): void {
  expect({ status: reply.status, text: reply.text }).toEqual({ status, text: expect.stringContaining(`"${code}"`) });
  expect(reply.headers['content-type']).toBe('application/problem+json; charset=utf-8');
  expect(reply.headers['cache-control']).toBe('no-store');
  const problem = json(reply);
  expect(problem).toEqual({
    type: expect.any(String),
    title: expect.any(String),
    status,
    detail: expect.any(String),
    code,
    request_id: reply.headers['x-request-id'],
    error: { code: status, message: problem.title, details: problem.detail },
  });
}
