/**
 * Whether this node sends the offers: the longer ID does, or of two equally long ones the bytewise greater. Both sides
 * decide alike from the IDs alone, so two offers never cross (no glare, no rollback).
 */
export function offers(self: string, peer: string): boolean {
  if (self.length !== peer.length) return self.length > peer.length;
  return self > peer;
}
