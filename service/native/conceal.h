/* Keeps what a process has in memory to itself. */
#ifndef CRYONET_CONCEAL_H
#define CRYONET_CONCEAL_H

/* No core file, and no other process of this user may look into this one or trace it: keys and the token are in its
 * memory. Until execve(2); never fails. */
void conceal(void);

#endif
