/**
 * Who of two nodes sends the offers: the one with the longer ID, or of two equally long ones the bytewise greater.
 * Both sides decide alike from the IDs alone, so that two offers never meet (no glare, no rollback).
 */
export function offers(self: string, peer: string): boolean {
  if (self.length !== peer.length) return self.length > peer.length;
  return self > peer;
}
