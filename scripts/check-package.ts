/**
 * What strangers get: packs the package, looks at what is in it, lints it, installs it in an empty folder and uses it there.
 *   npm run check:package                      all of it
 *   node scripts/check-package.ts --installed  only the installation, on the Node that runs this
 * The linters are fetched at the versions below: they have more dependencies than Perennial, and are needed nowhere else.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const PUBLINT = "publint@0.3.25";
const ATTW = "@arethetypeswrong/cli@0.18.5";
const KNIP = "knip@6.44.2";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "perennial-package-"));
// `npx perennial` takes the first Node in PATH: it shall be the one that was asked for.
process.env.PATH = `${dirname(process.execPath)}${delimiter}${process.env.PATH}`;
/** npm is a script on Windows, which only a shell can start. */
const shell = process.platform === "win32";

function run(command: string, args: readonly string[], cwd = ROOT): string {
  try {
    return execFileSync(command, args, { cwd, shell, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  } catch (error) {
    console.error((error as { stdout?: string }).stdout ?? "");
    throw new Error(`${command} ${args.join(" ")} failed`);
  }
}

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string }[];
}

function pack(): string {
  const report = run("npm", ["pack", "--json", "--pack-destination", folder]);
  // Newer npms name the report by the package.
  const parsed = JSON.parse(report) as Packed[] | Record<string, Packed>;
  const packed = Object.values(parsed)[0] as Packed;
  const paths = packed.files.map(({ path }) => path);
  const known =
    /^(package\.json|LICENSE|README(\.zh-CN)?\.md|CHANGELOG\.md|config\.(example\.yaml|schema\.json)|dist\/[\w/.-]+\.(js|js\.map|d\.ts)|dist\/THIRD-PARTY-NOTICES\.txt|dist\/dashboard\/[\w/.-]+\.(html|css|svg))$/;
  const strays = paths.filter((path) => !known.test(path) || /\.test\.|\/fixtures\//.test(path));
  if (strays.length > 0) throw new Error(`the package has what its users do not need: ${strays.join(", ")}`);
  for (const needed of ["dist/main.js", "dist/THIRD-PARTY-NOTICES.txt", "config.schema.json", "LICENSE"]) {
    if (!paths.includes(needed)) throw new Error(`the package lacks ${needed}`);
  }
  console.log(
    `packed: ${paths.length} files, ${Math.round(packed.size / 1024)} KiB (${Math.round(packed.unpackedSize / 1024)} KiB unpacked)`,
  );
  return join(folder, packed.filename);
}

function lint(tarball: string): void {
  console.log(run("npx", ["--yes", PUBLINT, tarball, "--strict"]));
  console.log(run("npx", ["--yes", ATTW, tarball, "--profile", "esm-only"]));
  console.log(run("npx", ["--yes", KNIP]) || "knip: nothing is unused, and nothing missing");
}

/** In an empty folder, as a user does. */
async function install(tarball: string): Promise<void> {
  const home = mkdtempSync(join(folder, "empty-"));
  run("npm", ["init", "--yes"], home);
  run("npm", ["install", "--no-audit", "--no-fund", tarball], home);
  console.log(
    `installed: perennial ${run("npx", ["perennial", "--version"], home).trim()} on Node ${run("node", ["--version"], home).trim()}`,
  );
  const chaos = start(home, ["chaos", "--port", "0"]);
  const upstream = await urlIn(chaos, /listens on (http\S+)/);
  const perennial = start(home, ["--upstream", upstream, "--port", "0"]);
  try {
    const url = await urlIn(perennial, /listening on (http:\/\/[^\s",]+)/);
    const body = JSON.stringify({ model: "chaos/empty,ok", stream: true, messages: [{ role: "user", content: "Hello" }] });
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${url}/v1/chat/completions`, { method: "POST", headers, body });
    const text = await response.text();
    const attempts = response.headers.get("x-perennial-attempts");
    if (!text.trimEnd().endsWith("data: [DONE]")) throw new Error(`no whole answer: ${text.slice(-200)}`);
    console.log(`used: an empty stream became a whole answer (attempts: ${attempts})`);
  } finally {
    for (const child of [perennial, chaos]) child.kill();
  }
  writeFileSync(
    join(home, "suite.mjs"),
    `import { createFetch } from "perennial";
import { createChaosServer } from "perennial/chaos";
const chaos = createChaosServer();
const { url } = await chaos.listen();
const response = await fetch(url + "/models");
console.log("imported: perennial/chaos names", (await response.json()).data.length, "models");
const messages = [{ role: "user", content: "Hello" }];
const asked = { method: "POST", body: JSON.stringify({ model: "chaos/empty+ok", stream: true, messages }) };
const answer = await createFetch({ upstream: url })(url + "/chat/completions", asked);
console.log("fetched: attempts:", answer.headers.get("x-perennial-attempts"), (await answer.text()).trimEnd().endsWith("[DONE]"));
await chaos.close();
`,
  );
  console.log(run("node", ["suite.mjs"], home).trim());
}

function start(home: string, args: readonly string[]): ChildProcess {
  // Not by npx, which would stand between it and the signal that ends it.
  const main = join(home, "node_modules/perennial/dist/main.js");
  return spawn("node", [main, ...args], { cwd: home, stdio: ["ignore", "pipe", "inherit"] });
}

function urlIn(child: ChildProcess, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = "";
    child.stdout?.on("data", (part: Buffer) => {
      output += part;
      const url = pattern.exec(output)?.[1];
      if (url !== undefined) resolve(url);
    });
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`it ended with ${code}: ${output}`)));
  });
}

try {
  const tarball = pack();
  if (!process.argv.includes("--installed")) lint(tarball);
  await install(tarball);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
