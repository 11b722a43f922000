/** How the API says that something failed: `application/problem+json`, RFC 9457. */
import * as z from 'zod/mini';
import { CryonetError, type ErrorCode, errorCodes, reasonOf } from './errors.ts';

export const problemType = 'application/problem+json';

/** What is wrong in a file, at a line and column from 1; both are 0 where it is about the whole file. */
const mistake = z.object({
  /** Where it is another file than that of the problem: one of `config.d`. */
  file: z.optional(z.string()),
  line: z.int(),
  column: z.int(),
  reason: z.string(),
});
export type Mistake = z.infer<typeof mistake>;

/** As compilers write it; `from` stands behind the place in the file at `path`. */
export function mistakeAt(path: string, { file, line, column, reason }: Mistake, from = ''): string {
  const place = line === 0 ? '' : `:${line}:${column}`;
  return `${file ?? path}${place}${file === undefined ? from : ''}: ${reason}`;
}

export const problem = z.object({
  /** Says that `title` is that of the HTTP status. */
  type: z.literal('about:blank'),
  title: z.string(),
  status: z.int(),
  /** Which of the project's errors it is (`errors.ts`). */
  code: z.catch(z.enum(Object.keys(errorCodes) as [ErrorCode, ...ErrorCode[]]), 'internal'),
  /** What happened and what to do, on one line. */
  detail: z.string(),
  /** With `bad_config`: the file, and all that is wrong in it. */
  file: z.optional(z.string()),
  mistakes: z.optional(z.array(mistake)),
});

export type Problem = z.infer<typeof problem>;

/** The configuration cannot be used. */
export class ConfigError extends CryonetError {
  /** Undefined where no file has a part in it. */
  readonly file: string | undefined;
  /** In the order of the file; empty where the file by itself is good. */
  readonly mistakes: readonly Mistake[];

  constructor(detail: string, file?: string, mistakes: readonly Mistake[] = [], cause?: unknown) {
    super('bad_config', detail, { cause });
    this.file = file;
    this.mistakes = mistakes;
  }
}

/** The HTTP status of each code that a request may meet. Every other one is a defect. */
const statuses: Partial<Readonly<Record<ErrorCode, number>>> = {
  bad_message: 400,
  denied: 403,
  unknown_method: 404,
  unknown_peer: 404,
  unknown_invitation: 404,
  wrong_token: 403,
  frame_too_large: 413,
  bad_config: 422,
  unavailable: 503,
  no_token: 503,
};

const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  413: 'Content Too Large',
  422: 'Unprocessable Content',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

export function statusOf(code: ErrorCode): number {
  return statuses[code] ?? 500;
}

/** `status`: of HTTP, where it is not that of the code. */
export function problemOf(thrown: unknown, status?: number): Problem {
  const code = thrown instanceof CryonetError ? thrown.code : 'internal';
  const shown = status ?? statusOf(code);
  return {
    ...{ type: 'about:blank', title: titles[shown]!, status: shown, code, detail: reasonOf(thrown) },
    ...(thrown instanceof ConfigError && thrown.file !== undefined
      ? { file: thrown.file, mistakes: [...thrown.mistakes] }
      : {}),
  };
}

/** The error that a problem stands for. */
export function errorOf({ code, detail, file, mistakes }: Problem): CryonetError {
  return code === 'bad_config' ? new ConfigError(detail, file, mistakes) : new CryonetError(code, detail);
}
