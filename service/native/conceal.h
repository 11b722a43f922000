/* Keeps what a process has in memory to itself. */
#ifndef CRYONET_CONCEAL_H
#define CRYONET_CONCEAL_H

/* From here on until execve(2) this process leaves no core file, and no other process of its user may read its memory or
 * trace it, ptrace(2). Keys and the token are there. */
void conceal(void);

#endif
