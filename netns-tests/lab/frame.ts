/** Raw frames of any ethertype. */
import assert from 'node:assert/strict';
import { buildTool } from './compiled.ts';
import type { Lab } from './lab.ts';
import type { CryonetNode } from './node.ts';

/** An MPLS frame from one node's interface arrives at the other's, unchanged. */
export async function assertFrameCrosses(lab: Lab, from: CryonetNode, to: CryonetNode): Promise<void> {
  const tool = await buildTool(lab, 'frame');
  const receiver = to.namespace.start('frame', [tool, 'receive', `cn${from.id}`, '0x8847']);
  await receiver.says(/ready/);
  // Label 16, traffic class 0, bottom of stack, time to live 64; then bytes that are no IP packet.
  const frame = `00010140${'c0ffee'.repeat(100)}`;
  await from.namespace.$`${tool} send ${`cn${to.id}`} 0x8847 ${frame}`;
  await receiver.says(/ready\n.+\n/, 5_000);
  assert.equal(receiver.output, `ready\n${frame}\n`);
}
