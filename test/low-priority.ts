/** Imported ahead of a test file: the file, and all that it starts, leave the processors to whoever else wants them. */
import { constants, setPriority } from 'node:os';

setPriority(constants.priority.PRIORITY_LOW);
