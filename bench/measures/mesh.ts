/** How long a mesh takes to form: from the last start to the moment when every pair, in both directions, has
 *  answered a ping. All nodes are started at once; each knows the first one only. */
import { figure, type Measure } from '../measure.ts';
import { secondsBetween } from '../scene.ts';

const byHand = 'Needs no time to form: every node is configured with all others’ keys and addresses.';

/** `bound` in seconds. */
export function mesh(size: number, bound: number): Measure {
  const name = `mesh-${size}`;
  return {
    name,
    about: `${size} nodes started at once, until every pair answers`,
    figures: [
      figure(name, `${size} nodes: last start → every pair answers ping`, 's', 2, {
        atMost: bound,
        notes: { 'wireguard-go': byHand },
      }),
    ],
    of: ({ discovers }) => discovers,
    async take(scene, contender) {
      const { lastStart, formed } = await scene.formed(contender, await scene.hosts(size));
      return { [name]: secondsBetween(lastStart, formed) };
    },
  };
}
