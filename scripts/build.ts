/** Builds `dist/`: types erased, one file for each source file, declarations for what is exported; beside it the dashboard's page. */
import { execFileSync } from "node:child_process";
import { chmodSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");
rmSync(dist, { recursive: true, force: true });
execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", join(root, "tsconfig.build.json")], {
  stdio: "inherit",
});
keepPublicDeclarations();
for (const program of ["main.js", "chaos-main.js"]) chmodSync(join(dist, program), 0o755);

// Everything in files of our own: the page's Content-Security-Policy allows nothing inline, and nothing from elsewhere.
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
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
});

/** Only what `exports` in package.json leads to: the rest may change at any time, and would make half of the package. */
function keepPublicDeclarations(): void {
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    exports: Record<string, string | { types: string }>;
  };
  const open = Object.values(exports).flatMap((entry) => (typeof entry === "string" ? [] : [resolve(root, entry.types)]));
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
}
