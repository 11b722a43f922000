/** What this process takes of its machine. */
import { readdirSync } from 'node:fs';
import type { ProcessFigures } from './process-figures.ts';

export function ownFigures(): ProcessFigures {
  const { user, system } = process.cpuUsage();
  return { cpu: (user + system) / 1e6, memory: process.memoryUsage.rss(), files: openFiles() };
}

function openFiles(): number | null {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return null;
  }
}
