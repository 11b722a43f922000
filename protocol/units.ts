/** How times and durations are written. Inside both are numbers of milliseconds, times since the Unix epoch. */
import * as z from 'zod/mini';

/** A schema of which the value inside is a number of milliseconds. */
export type Milliseconds = z.ZodMiniType<number>;

export interface Units<T extends Milliseconds, D extends Milliseconds> {
  readonly time: T;
  /** A time that is 0 inside where it is not known. */
  readonly timeIfKnown: Milliseconds;
  readonly duration: D;
}

/** As inside. */
export const milliseconds = { time: z.int(), timeIfKnown: z.int(), duration: z.number() };

const time = z
  .codec(z.iso.datetime(), z.int(), {
    decode: (text) => Date.parse(text),
    encode: (at) => new Date(at).toISOString(),
  })
  .check(z.describe('RFC 3339, in UTC'));

const timeIfKnown = z
  .codec(z.nullable(z.iso.datetime()), z.int(), {
    decode: (text) => (text === null ? 0 : Date.parse(text)),
    encode: (at) => (at === 0 ? null : new Date(at).toISOString()),
  })
  .check(z.describe('RFC 3339, in UTC; null while it is not known'));

/** In steps of a microsecond: nothing is measured more finely. */
const duration = z
  .codec(z.number(), z.number(), {
    decode: (seconds) => Math.round(seconds * 1e6) / 1e3,
    encode: (length) => Math.round(length * 1e3) / 1e6,
  })
  .check(z.describe('Seconds'));

/** As the API writes them. A time that is not known is null. */
export const v1 = { time, timeIfKnown, duration };
