/** What every `DirectLink` does, for `memory-direct.ts` and `native-direct.ts` alike. */
import { test } from 'node:test';
import { keypairConformance } from './direct-conformance-keypairs.ts';
import { packetConformance } from './direct-conformance-packets.ts';
import { type DirectLab, DirectPair, type LabOptions, type Spec } from './direct-conformance-pair.ts';

export function directConformance(kind: string, open: (options: LabOptions) => Promise<DirectLab>): void {
  const spec: Spec = (behaviour, body, options = { ipv6: true }) =>
    void test(`${kind}: ${behaviour}`, { timeout: 60_000 }, async () => {
      const lab = await open(options);
      const pair = new DirectPair(lab);
      try {
        await body(pair, lab);
      } finally {
        pair.close();
        await lab.close();
      }
    });
  packetConformance(spec);
  keypairConformance(spec);
}
