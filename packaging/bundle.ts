/** Each program as one ESM file, by esbuild. Native addons stay files beside it, and so does what few start with. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build, type Metafile, type Plugin } from 'esbuild';

export const root = resolve(import.meta.dirname, '..');

export const programs = {
  cryonet: 'control/main.ts',
  'cryonet-dataplane': 'dataplane/main.ts',
  cryoc: 'cli/main.ts',
} as const;

export type ProgramName = keyof typeof programs;
export const programNames = Object.keys(programs) as ProgramName[];

/** Libraries that a program imports where it is told to, from a file beside its own: werift is two thirds of what the
 *  dataplane would read at each start otherwise, and few nodes are asked for metrics. */
const libraries = { werift: 'werift', 'prom-client': 'prom-client' } as const;

export type BundleName = ProgramName | keyof typeof libraries;
export const bundleNames = [...programNames, ...Object.keys(libraries)] as BundleName[];

export interface Bundle {
  readonly text: string;
  /** Input paths are relative to the root of the project. */
  readonly metafile: Metafile;
}

/** Same sources and version, same text, wherever the checkout lies. */
export async function bundle(name: BundleName, version: string): Promise<Bundle> {
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: [{ ...programs, ...libraries }[name]],
    outfile: `dist/${name}.mjs`,
    write: false,
    bundle: true,
    metafile: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    legalComments: 'none',
    logLevel: 'warning',
    // CommonJS inside requires Node's own modules.
    banner: {
      js: "import { createRequire as requireFrom } from 'node:module';\nconst require = requireFrom(import.meta.url);",
    },
    plugins: [stamp(version), nativeParts, ownAsNeeded, librariesBeside],
  });
  return { text: outputFiles[0]!.text, metafile };
}

/** In place of package.json, which is not in the package. */
function stamp(version: string): Plugin {
  return {
    name: 'stamp',
    setup: ({ onLoad }) =>
      onLoad({ filter: /\/protocol\/version\.ts$/ }, () => ({
        contents: `export const version = ${JSON.stringify(version)};`,
      })),
  };
}

const librariesBeside: Plugin = {
  name: 'libraries-beside',
  setup: ({ onResolve }) =>
    onResolve({ filter: new RegExp(`^(${Object.keys(libraries).join('|')})$`) }, ({ path, kind }) =>
      kind === 'dynamic-import' ? { path: `./${path}.mjs`, external: true } : undefined,
    ),
};

/** An import of Node's own is done before anything else, wherever it stands, and of HTTP it reads all of its names, one of
 *  which loads a whole HTTP client. So what takes long becomes an object, which is asked for where it is used. */
const ownAsNeeded: Plugin = {
  name: 'own-as-needed',
  setup: ({ onLoad, onResolve }) => {
    onResolve({ filter: /^(node:)?(http[2s]?|crypto|readline(\/promises)?|tls|zlib)$/ }, ({ path, kind }) =>
      kind === 'import-statement' ? { path, namespace: 'own' } : undefined,
    );
    onLoad({ filter: /./, namespace: 'own' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule('${path}');`,
    }));
  },
};

/** Where libraries look for native code at run time, in folders that are not ours as well. */
const nativeParts: Plugin = {
  name: 'native-parts',
  setup: ({ onLoad, onResolve }) => {
    // ws: faster for long messages, and absent here; it catches the failure.
    onResolve({ filter: /^(bufferutil|utf-8-validate)$/ }, ({ path }) => ({ path, namespace: 'absent' }));
    onLoad({ filter: /./, namespace: 'absent' }, ({ path }) => ({
      contents: `throw new Error('${path} is not in this package');`,
    }));
    // msgpackr as for browsers: the same but for a native string reader.
    onResolve({ filter: /^msgpackr$/ }, () => ({ path: join(root, 'node_modules/msgpackr/index.js') }));
    onLoad({ filter: /\/node-datachannel\/dist\/esm\/lib\/node-datachannel\.mjs$/ }, ({ path }) => ({
      contents: onlyOurAddon(readFileSync(path, 'utf8')),
    }));
  },
};

function onlyOurAddon(loader: string): string {
  const name = /\bexport \{\s*(\w+) as default\s*\}/.exec(loader)?.[1];
  if (name === undefined) throw new Error('node-datachannel loads its addon in another way than it did');
  return [
    "import { createRequire } from 'node:module';",
    "export default createRequire(import.meta.url)('@node-datachannel/linux-' + process.arch + '-gnu');",
  ].join('\n');
}
