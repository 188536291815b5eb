/**
 * One executable file of all that `dist/` is, with the Node that runs this, for the system that runs this: `npm run build:single`.
 * Tried before it is called made: in an empty folder it must name its version, show the dashboard, and mend a stream.
 * Its Node is Node's own build with a section added, so that signatures of that build do not hold any more: sign it yourself.
 */
import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { VERSION_ASSET } from "../src/cli/version.ts";
import { PAGE_ASSET } from "../src/server/dashboard/page-files.ts";

/** Adds a section to an executable; needed once, and by nobody who runs the result. */
const POSTJECT = "postject@1.0.0-alpha.6";
/** By which Node finds out that a section was added. */
const FUSE = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = join(root, ".cache", "single");
const isWindows = process.platform === "win32";
const executable = join(folder, `perennial-${process.platform}-${process.arch}${isWindows ? ".exe" : ""}`);

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
await bundle();
writeAssets();
const config = join(folder, "sea.json");
writeFileSync(
  config,
  JSON.stringify({
    main: join(folder, "main.cjs"),
    output: join(folder, "main.blob"),
    disableExperimentalSEAWarning: true,
    assets: { [PAGE_ASSET]: join(folder, PAGE_ASSET), [VERSION_ASSET]: join(folder, VERSION_ASSET) },
  }),
);
execFileSync(process.execPath, ["--experimental-sea-config", config], { stdio: "inherit" });
copyFileSync(process.execPath, executable);
chmodSync(executable, 0o755);
inject();
await tryIt();
console.log(`made: ${executable}, ${Math.round(statSync(executable).size / 1024 ** 2)} MiB`);

/** A script and no module, since that is what an executable's main can be. */
async function bundle(): Promise<void> {
  await build({
    root,
    configFile: false,
    logLevel: "warn",
    ssr: { noExternal: true },
    define: { "import.meta.url": "__here" },
    build: {
      ssr: join(root, "dist/main.js"),
      outDir: folder,
      emptyOutDir: false,
      target: "node22",
      minify: false,
      rolldownOptions: {
        output: {
          format: "cjs",
          entryFileNames: "main.cjs",
          codeSplitting: false,
          banner: 'const __here = require("node:url").pathToFileURL(process.execPath).href;',
        },
      },
    },
  });
}

function writeAssets(): void {
  const page = join(root, "dist/dashboard");
  const names = readdirSync(join(page, "dashboard"));
  const files = Object.fromEntries(names.map((name) => [name, readFileSync(join(page, "dashboard", name), "base64")]));
  writeFileSync(join(folder, PAGE_ASSET), JSON.stringify({ html: readFileSync(join(page, "index.html"), "utf8"), files }));
  writeFileSync(join(folder, VERSION_ASSET), version());
}

function version(): string {
  return (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string }).version;
}

function inject(): void {
  const isMac = process.platform === "darwin";
  // Apple's systems run nothing whose signature is broken.
  if (isMac) execFileSync("codesign", ["--remove-signature", executable]);
  const segment = isMac ? ["--macho-segment-name", "NODE_SEA"] : [];
  const args = [executable, "NODE_SEA_BLOB", join(folder, "main.blob"), "--sentinel-fuse", FUSE, ...segment];
  execFileSync("npx", ["--yes", POSTJECT, ...args], { stdio: ["ignore", "ignore", "inherit"], shell: isWindows });
  if (isMac) execFileSync("codesign", ["--sign", "-", executable]);
}

async function tryIt(): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), "perennial-single-"));
  const said = execFileSync(executable, ["--version"], { cwd: home, encoding: "utf8" }).trim();
  if (said !== version()) throw new Error(`it says that its version is ${said}`);
  const running = spawn(executable, ["--port", "0"], { cwd: home, stdio: ["ignore", "pipe", "inherit"] });
  try {
    const url = await new Promise<string>((resolve, reject) => {
      let output = "";
      running.stdout.on("data", (part: Buffer) => {
        output += part;
        const found = /listening on (http:\/\/[^\s",]+)/.exec(output)?.[1];
        if (found !== undefined) resolve(found);
      });
      running.once("exit", (code) => reject(new Error(`it ended with ${code}: ${output}`)));
    });
    const page = await fetch(`${url}/dashboard`);
    if (page.status !== 200) throw new Error(`its dashboard answers ${page.status}`);
    const script = /src="([^"]+\.js)"/.exec(await page.text())?.[1] ?? "";
    const { status } = await fetch(new URL(script, `${url}/dashboard`));
    if (status !== 200) throw new Error(`the dashboard's script answers ${status}`);
    const body = JSON.stringify({ model: "chaos/empty+ok", stream: true, messages: [{ role: "user", content: "Hello" }] });
    const headers = { "content-type": "application/json" };
    const answer = await (await fetch(`${url}/v1/chat/completions`, { method: "POST", headers, body })).text();
    if (!answer.trimEnd().endsWith("data: [DONE]")) throw new Error(`it gave no whole answer: ${answer.slice(-200)}`);
  } finally {
    running.kill();
    rmSync(home, { recursive: true, force: true });
  }
}
