/** The programs that stories run: of this checkout, or those of the packages, where the run that they are of made them. */
import { join } from 'node:path';

/** Names their folder. */
export const programsVariable = 'CRYONET_PROGRAMS';

export const programs = process.env[programsVariable] ?? join(import.meta.dirname, '../../bin');
