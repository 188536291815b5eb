/** Builds `dist/`: the program, what other programs import with its declarations, the dashboard's page, and the licences of what is in them. */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { bundle } from "./build/bundle.ts";
import { licenceNotices } from "./build/notices.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");
const { exports, dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  exports: Record<string, string | { types: string; default: string }>;
  dependencies: Record<string, string>;
};
const exported = Object.values(exports).filter((entry) => typeof entry !== "string");

rmSync(dist, { recursive: true, force: true });
execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", join(root, "tsconfig.build.json")], {
  stdio: "inherit",
});
keepPublicDeclarations();

// All in it: hundreds of small files cost most of what a start costs.
const program = await bundle(
  {
    entries: { main: join(root, "src/main.ts"), "chaos-main": join(root, "src/chaos-main.ts") },
    pieces: "program",
    imported: [],
  },
  dist,
);
for (const name of ["main.js", "chaos-main.js"]) chmodSync(join(dist, name), 0o755);

// Whoever imports it has a Fastify, a pino and a lock file of their own.
const names = exported.map(({ default: path }) => path.replace(/^\.\/dist\/|\.js$/g, ""));
await bundle(
  {
    entries: Object.fromEntries(names.map((name) => [name, join(root, `src/${name}.ts`)])),
    pieces: "library",
    imported: Object.keys(dependencies),
  },
  dist,
);

// Everything in files of our own: the page's Content-Security-Policy allows nothing inline, and nothing from elsewhere.
const page: string[] = [];
await build({
  root: join(root, "src/dashboard"),
  configFile: false,
  logLevel: "warn",
  // Relative, so that it also works behind a path of a front proxy's.
  base: "./",
  build: {
    outDir: join(dist, "dashboard"),
    assetsDir: "dashboard",
    assetsInlineLimit: 0,
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    target: "es2022",
  },
  plugins: [
    {
      name: "list-modules",
      generateBundle(_options, files) {
        for (const file of Object.values(files)) if (file.type === "chunk") page.push(...Object.keys(file.modules));
      },
    },
  ],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
});
writeFileSync(join(dist, "THIRD-PARTY-NOTICES.txt"), licenceNotices([...program, ...page]));

/** Only what `exports` in package.json leads to: the rest may change at any time, and would make half of the package. */
function keepPublicDeclarations(): void {
  const open = exported.map(({ types }) => resolve(root, types));
  const kept = new Set<string>();
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (kept.has(file)) continue;
    kept.add(file);
    const folder = dirname(file);
    for (const [, path = ""] of readFileSync(file, "utf8").matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)) {
      open.push(resolve(folder, path.replace(/\.[jt]s$/, ".d.ts")));
    }
  }
  for (const file of readdirSync(dist, { recursive: true, encoding: "utf8" })) {
    if (file.endsWith(".d.ts") && !kept.has(join(dist, file))) rmSync(join(dist, file));
  }
  for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) removeWhereEmpty(join(entry.parentPath, entry.name));
  }
}

function removeWhereEmpty(folder: string): void {
  const isEmpty =
    existsSync(folder) && readdirSync(folder, { recursive: true, withFileTypes: true }).every((each) => each.isDirectory());
  if (isEmpty) rmSync(folder, { recursive: true });
}
