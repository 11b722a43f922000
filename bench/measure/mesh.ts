/** How long a mesh takes to form: from the last start to the moment when every pair, in both directions, has
 *  answered a ping. All nodes are started at once; each knows the first one only. */
import { lan } from '../../netns-tests/lab/topology.ts';
import type { Contender } from '../contender.ts';
import { form, type Measurement, milliseconds, subjects } from '../measurement.ts';

const limit = 120_000;

export function mesh(contenders: readonly Contender[], size: number): Measurement {
  const name = `mesh-${size}`;
  return {
    name,
    limit: limit + 60_000,
    subjects: subjects(contenders, async (contender, { lab, pinger }) => {
      const labels = Array.from({ length: size }, (_, index) => `n${index + 1}`);
      const { hosts } = await lan(lab, labels);
      const overlay = await contender.prepare(hosts);
      // Pairs grow with the square: a coarser look keeps the measuring cheap beside what is measured.
      const interval = size > 10 ? 200 : 50;
      const { lastStart, formed } = await form(overlay, pinger, { interval, limit });
      return { [name]: milliseconds(lastStart, formed) / 1000 };
    }),
  };
}
