/**
 * What anybody can send, many times over: each decoder takes it or refuses it in one of its ways, and nothing else
 * happens. What a decoder takes, it takes again after it was written anew.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { CommanderError } from 'commander';
import { TomlError } from 'smol-toml';
import { CryonetError } from '../../protocol/errors.ts';
import { encode } from '../../protocol/msgpack.ts';
import { Mutations } from './mutations.ts';

const inputs = 1_000_000;

// Most inputs end as an error; where it was made is of no interest.
Error.stackTraceLimit = 0;

/** Texts as the bytes that they are written with. */
export const written = (...texts: readonly string[]) => texts.map((text) => Buffer.from(text, 'latin1'));

export interface Decoder {
  readonly seeds: readonly Uint8Array[];
  /** Throws one of `refusals`, or gives undefined, where it does not take the input. */
  readonly take: (input: Uint8Array) => unknown;
}

const refusals = [CryonetError, CommanderError, TomlError];

let looks = 0;

/** Whether to look at what was taken: at each would take more time than all decoders. */
export function isLookedAt(): boolean {
  return ++looks % 32 === 0;
}

/** MessagePack of a shape: what is taken is the same when it is written and taken again. */
export function shaped(read: (input: Uint8Array) => unknown, ...seeds: readonly unknown[]): Decoder {
  return {
    seeds: seeds.map(encode),
    take: (input) => {
      const value = read(input);
      if (isLookedAt()) assert.deepEqual(read(encode(value)), value);
      return value;
    },
  };
}

export const text = (read: (input: string) => unknown, ...seeds: readonly string[]): Decoder => ({
  seeds: written(...seeds),
  take: (input) => read(Buffer.from(input.buffer, input.byteOffset, input.length).toString('latin1')),
});

/** Defines a test of each. */
export function testDecoders(decoders: Readonly<Record<string, Decoder>>): void {
  for (const [name, { seeds, take }] of Object.entries(decoders)) {
    test(`${name}: ${inputs} that are almost right are taken or refused, and nothing else`, async () => {
      const mutations = new Mutations(seeds, Math.max(2048, ...seeds.map(({ length }) => length + 64)));
      for (const seed of seeds) assert.notEqual(take(seed), undefined);
      let taken = 0;
      for (let i = 0; i < inputs; i++) {
        // Errors of streams are told a moment later.
        if (i % 1024 === 0) await setImmediate();
        const input = mutations.next();
        if (!refusedInWords(take, input)) {
          taken++;
          mutations.accepted(input);
        }
      }
      assert.ok(
        taken > inputs / 1000 || name === 'sealed frames',
        `${taken} taken: they are not almost right`,
      );
      assert.ok(taken < inputs, 'all taken');
    });
  }
}

/** Whether the decoder refused it. Fails, with the input, where it did something else. */
export function refusedInWords(take: (input: Uint8Array) => unknown, input: Uint8Array): boolean {
  try {
    return take(input) === undefined;
  } catch (error) {
    if (refusals.some((kind) => error instanceof kind)) return true;
    throw new Error(`on ${Buffer.from(input).toString('hex')}`, { cause: error });
  }
}
