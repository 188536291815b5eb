/** Builds `dist/`: types erased, one file for each source file, the program executable; beside it the dashboard's page. */
import { execFileSync } from "node:child_process";
import { chmodSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const root = fileURLToPath(new URL("..", import.meta.url));
rmSync(`${root}dist`, { recursive: true, force: true });
execFileSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, "-p", `${root}tsconfig.build.json`], {
  stdio: "inherit",
});
chmodSync(`${root}dist/main.js`, 0o755);

// Everything in files of our own: the page's Content-Security-Policy allows nothing inline, and nothing from elsewhere.
await build({
  root: `${root}src/dashboard`,
  configFile: false,
  logLevel: "warn",
  // Relative, so that it also works behind a path of a front proxy's.
  base: "./",
  build: {
    outDir: `${root}dist/dashboard`,
    assetsDir: "dashboard",
    assetsInlineLimit: 0,
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    target: "es2022",
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
});
