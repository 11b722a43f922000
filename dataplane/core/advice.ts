/** What warnings about links say, where it is always the same. */

export const vanishing =
  'what is segmented on its way (UDP_SEGMENT) does not arrive, by a fault of a driver or of the network: packets leave ' +
  'one by one, at less speed, and together again from time to time; never: --segmentation off';

export const refusesJoined =
  'this kernel refuses packets that were joined, and gets them one by one, which is slower; another kernel may take them';

export const tooNarrow =
  'packets of 1280 bytes do not arrive, though IPv6 asks every path to take them: short ones pass, long ones are lost; ' +
  'raise the MTU of what is in between, a tunnel perhaps';
