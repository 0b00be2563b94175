/** Describes the gateway's own endpoints as OpenAPI 3.1, from the schemas that check what goes in and says what comes out. */
import { z } from 'zod';
import { loginSchema } from './login.ts';
import { refreshAnswerSchema, sessionAnswerSchema, sessionsAnswerSchema } from './session-body.ts';

const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  code: z.string(),
  request_id: z.string(),
  error: z.object({ code: z.number().int(), message: z.string(), details: z.string() }),
});

const jsonSchema = (schema: z.ZodType) => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema);
  return rest;
};
const json = (description: string, schema: z.ZodType) => ({
  description,
  content: { 'application/json': { schema: jsonSchema(schema) } },
});
const problems = (...statuses: number[]) =>
  Object.fromEntries(statuses.map((status) => [String(status), { $ref: '#/components/responses/Problem' }]));
const guarded = [{ session: [] }];

let document: unknown;

export function openApiDocument(): unknown {
  document ??= build();
  return document;
}

function build(): unknown {
  const requestBody = { required: true, content: { 'application/json': { schema: jsonSchema(loginSchema) } } };
  return {
    openapi: '3.1.0',
    info: {
      title: 'Finvera gateway',
      version: '1',
      description: 'Sessions for browsers; every other path is forwarded.',
    },
    components: {
      securitySchemes: { session: { type: 'apiKey', in: 'cookie', name: '__Host-finvera_session' } },
      responses: {
        Problem: {
          description: 'What went wrong (RFC 9457).',
          content: { 'application/problem+json': { schema: jsonSchema(problemSchema) } },
        },
      },
    },
    paths: {
      '/bff/login': {
        post: {
          summary: 'Log in',
          requestBody,
          responses: {
            '200': json('The new session', sessionAnswerSchema),
            ...problems(400, 401, 403, 413, 415, 429, 502, 503, 504),
          },
        },
      },
      '/bff/session': {
        get: {
          summary: 'Who is logged in, and for how long',
          security: guarded,
          parameters: [{ name: 'slide', in: 'query', schema: { type: 'string', enum: ['false'] } }],
          responses: { '200': json('The session', sessionAnswerSchema), ...problems(401, 403, 503) },
        },
      },
      '/bff/refresh': {
        post: {
          summary: 'Renew the tokens now, at most once in 30 seconds',
          security: guarded,
          responses: { '200': json('The session', refreshAnswerSchema), ...problems(401, 403, 503) },
        },
      },
      '/bff/logout': {
        post: {
          summary: 'Log out',
          responses: { '204': { description: 'No session any more' }, ...problems(403, 503) },
        },
      },
      '/bff/sessions': {
        get: {
          summary: "The user's sessions",
          security: guarded,
          responses: { '200': json('The sessions', sessionsAnswerSchema), ...problems(401, 403, 503) },
        },
        delete: {
          summary: "End the user's sessions",
          security: guarded,
          parameters: [{ name: 'except', in: 'query', schema: { type: 'string', enum: ['current'] } }],
          responses: { '204': { description: 'Ended' }, ...problems(400, 401, 403, 503) },
        },
      },
      '/bff/sessions/{id}': {
        delete: {
          summary: 'End one session',
          security: guarded,
          parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }],
          responses: { '204': { description: 'Ended' }, ...problems(401, 403, 404, 503) },
        },
      },
      '/bff/client.js': {
        get: { summary: 'The browser client', responses: { '200': { description: 'An ES module' } } },
      },
      '/bff/openapi.json': { get: { summary: 'This document', responses: { '200': { description: 'OpenAPI 3.1' } } } },
    },
  };
}
