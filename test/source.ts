/** The project's own source files, as the tests of its rules read them. */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Paths relative to the root, of every file that fits the globs. */
export function sourceFiles(...patterns: readonly string[]): string[] {
  return globSync([...patterns], { cwd: root, exclude: (name) => name.includes('node_modules') })
    .map((path) => path.replaceAll('\\', '/'))
    .sort();
}

export function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** Comments become spaces, line for line; strings stay. */
export function withoutComments(text: string): string {
  const token = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g;
  return text.replace(token, (found) => (found.startsWith('/') ? found.replace(/[^\n]/g, ' ') : found));
}

/** What a file imports, types included: package names as they are, files relative to the root. */
export function importsOf(path: string): string[] {
  const found = withoutComments(read(path)).matchAll(
    /(?:^|[;\n])\s*(?:import|export)\s[^;'"]*?from\s*['"]([^'"]+)['"]|(?:^|[;\n])\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/g,
  );
  return [...found].map(([, from, bare, dynamic]) => {
    const specifier = (from ?? bare ?? dynamic)!;
    return specifier.startsWith('.') ? relative(root, join(root, dirname(path), specifier)) : specifier;
  });
}

/** Everything that importing a file brings along, itself included. */
export function closureOf(path: string, seen = new Set<string>()): Set<string> {
  if (seen.has(path)) return seen;
  seen.add(path);
  if (path.endsWith('.ts')) for (const next of importsOf(path)) closureOf(next, seen);
  return seen;
}
