/** Imported ahead of a test file: the file, and all that it starts, leave the processors to whoever else wants them. */
import { constants, getPriority, setPriority } from 'node:os';

const { PRIORITY_BELOW_NORMAL, PRIORITY_LOW } = constants.priority;

// Nobody but root may raise it again, from what the whole run was given.
setPriority(Math.min(getPriority() + PRIORITY_BELOW_NORMAL, PRIORITY_LOW));
