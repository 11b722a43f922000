/*
 * The broker: does what needs a capability for a control that has none. Control says at its start, before it hears of any
 * other node, what that will be; the broker does nothing else, whatever it is asked for later (native/broker.h).
 */
#ifndef CRYONET_SERVE_H
#define CRYONET_SERVE_H

/* Answers requests on `channel` until its other end is closed. */
void serve(int channel);

#endif
