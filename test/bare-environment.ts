/** Of a program that a test starts: nothing of this process's own, but what it needs to start, and to start fast. */
export function bareEnvironment(more: Readonly<NodeJS.ProcessEnv> = {}): NodeJS.ProcessEnv {
  const { PATH, NODE_COMPILE_CACHE } = process.env;
  return { PATH, ...(NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }), ...more };
}
