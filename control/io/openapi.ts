/** The OpenAPI document of the API, from its table of routes. https://spec.openapis.org/oas/v3.1.1 */
import * as z from 'zod/mini';
import { commonProblems, methodAndPath, type Route, type RouteName, routes } from '../../protocol/api.ts';
import type { ErrorCode } from '../../protocol/errors.ts';
import { streamType } from '../../protocol/events.ts';
import { problem, problemType, statusOf } from '../../protocol/problem.ts';
import { version } from '../../protocol/version.ts';

type Json = Readonly<Record<string, unknown>>;

export function openApi(): { readonly openapi: string } & Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const [name, route] of Object.entries<Route>(routes)) {
    const { method, path } = methodAndPath(name as RouteName);
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation(name, route) };
  }
  return {
    openapi: '3.1.1',
    info: { title: 'cryonet', version, description: 'HTTP over the control socket of a node' },
    servers: [{ url: 'http://cryonet', description: 'control.sock in the runtime directory' }],
    paths,
    components: { schemas: { problem: schemaOf(problem) } },
  };
}

function operation(name: string, { summary, reply, problems, stream, text, ...route }: Route): Json {
  const codes = [...commonProblems, ...problems];
  const parameters = [...parametersOf('path', route.parameters), ...parametersOf('header', route.headers)];
  return {
    operationId: name,
    summary,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.body && {
      requestBody: { required: true, content: { 'application/json': { schema: schemaOf(route.body) } } },
    }),
    responses: {
      200: response(summary, text ?? (stream ? streamType : 'application/json'), schemaOf(reply)),
      ...refusals(codes),
    },
  };
}

function parametersOf(place: 'path' | 'header', schema: z.ZodMiniObject | undefined): Json[] {
  return Object.entries((schema?.shape ?? {}) as Readonly<Record<string, z.ZodMiniType>>).map(
    ([name, each]) => ({
      ...{ name, in: place, required: place === 'path', schema: schemaOf(each) },
    }),
  );
}

/** By HTTP status, each with the codes that it stands for. */
function refusals(codes: readonly ErrorCode[]): Json {
  const byStatus = Map.groupBy(codes, statusOf);
  return Object.fromEntries(
    [...byStatus].map(([status, all]) => [
      status,
      response(all.join(', '), problemType, { $ref: '#/components/schemas/problem' }),
    ]),
  );
}

function response(description: string, mediaType: string, schema: Json): Json {
  return { description, content: { [mediaType]: { schema } } };
}

/** The schema of what is written, not of what it means inside. */
function schemaOf(schema: z.ZodMiniType): Json {
  const { $schema, ...rest } = z.toJSONSchema(schema, {
    io: 'input',
    // The format says it, and the pattern is 500 characters.
    override: ({ jsonSchema }) => {
      if (jsonSchema.format === 'date-time') delete jsonSchema.pattern;
    },
  });
  return rest;
}
