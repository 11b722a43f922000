/** HTTP over the control socket: the reply to each path. */
import type * as z from 'zod/mini';
import { statusReport } from './status.ts';

export const replies = { '/status': statusReport } as const;

export type ControlPath = keyof typeof replies;
export type Reply<Path extends ControlPath> = z.infer<(typeof replies)[Path]>;
