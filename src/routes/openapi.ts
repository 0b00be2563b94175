/** Describes the gateway's own endpoints as OpenAPI 3.1, from the schemas that check what goes in and say what comes out. */
import * as z from 'zod';
import { type ErrorKind, GatewayError } from '../kernel/errors.ts';
import { COMMON_ERRORS, OPERATIONS, type Operation } from './openapi-operations.ts';

export interface OpenApiDocument {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly components: unknown;
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** @param cookieName as this gateway's settings have it. */
export function openApiDocument(cookieName: string): OpenApiDocument {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of OPERATIONS) {
    paths[operation.path] = { ...paths[operation.path], [operation.method]: describe(operation) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Finvera gateway',
      version: '1',
      description:
        'Sessions for browsers. Paths of a configured route (as shipped `/delivery/*` and `/search/*`) are forwarded to Finvera with the credential of the session.',
    },
    components: {
      securitySchemes: { session: { type: 'apiKey', in: 'cookie', name: cookieName } },
      schemas: { Problem: jsonSchema(problemSchema) },
    },
    paths,
  };
}

/** RFC 9457, with Finvera's `error` member for clients that read its format. */
const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  request_id: z.string(),
  error: z.object({ code: z.int(), message: z.string(), details: z.string() }),
});

/** @param io a body that comes in may have members that nobody reads; an answer has none that is not described. */
function jsonSchema(schema: z.ZodType, io: 'input' | 'output' = 'output') {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io });
  return rest;
}

function describe(operation: Operation) {
  const { id, summary, body, parameters, needsSession, success, errors } = operation;
  const { status, description, content } = success;
  const answer = { description, ...(content ? { content: asContent(content.type, jsonSchema(content.schema)) } : {}) };
  return {
    operationId: id,
    summary,
    ...(needsSession ? { security: [{ session: [] }] } : {}),
    ...(parameters
      ? {
          parameters: parameters.map(({ schema, ...rest }) => ({
            ...rest,
            required: rest.in === 'path',
            schema: jsonSchema(schema),
          })),
        }
      : {}),
    ...(body
      ? { requestBody: { required: true, content: asContent('application/json', jsonSchema(body, 'input')) } }
      : {}),
    responses: {
      [status]: answer,
      // The health endpoints say in the same words what is not well.
      ...(operation.path.startsWith('/health') && id !== 'live' ? { 503: answer } : {}),
      ...describeErrors([...COMMON_ERRORS, ...errors]),
      ...(operation.isForwarded ? { default: { description: "Finvera's own error, unchanged." } } : {}),
    },
  };
}

const asContent = (type: string, schema: unknown) => ({ [type]: { schema } });

function describeErrors(kinds: readonly ErrorKind[]) {
  const byStatus = Map.groupBy(
    kinds.map((kind) => new GatewayError(kind)),
    ({ status }) => status,
  );
  return Object.fromEntries(
    [...byStatus].map(([status, errors]) => {
      const codes = [...new Set(errors.map(({ code }) => code))];
      return [
        status,
        {
          description: errors.map(({ code, detail }) => `\`${code}\`: ${detail}`).join(' '),
          content: asContent('application/problem+json', {
            allOf: [{ $ref: '#/components/schemas/Problem' }],
            type: 'object',
            properties: { code: { type: 'string', enum: codes }, status: { type: 'integer', const: status } },
          }),
        },
      ];
    }),
  );
}
