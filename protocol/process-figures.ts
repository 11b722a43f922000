/** What a process takes of its machine. */
import * as z from 'zod/mini';

export const processFigures = z.object({
  /** Seconds of processor time, in user mode and in the kernel. */
  cpu: z.number(),
  /** Bytes that are resident. */
  memory: z.int(),
  /** Open file descriptors; null where they cannot be counted. */
  files: z.nullable(z.int()),
});

export type ProcessFigures = z.infer<typeof processFigures>;
