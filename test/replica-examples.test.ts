/** The examples for several replicas: Kubernetes takes them, they start what there is, and streams get the time to finish. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { loadConfig } from "../src/config/load.ts";
import type { Config } from "../src/config/schema.ts";

const root = new URL("../", import.meta.url);
const read = (path: string): string => readFileSync(new URL(`examples/${path}`, root), "utf8");
/** What is left when the drain is over; then the process ends by itself. */
const CLOSING_SECONDS = 5;

/** As little of an object of Kubernetes as is looked at here. */
interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  // biome-ignore lint/suspicious/noExplicitAny: its form is what the types of Kubernetes are asked about, below
  readonly [field: string]: any;
}

const FILES = readdirSync(new URL("examples/kubernetes/", root)).filter((file) => file.endsWith(".yaml"));
const manifestsIn = (file: string): Manifest[] => parseAllDocuments(read(`kubernetes/${file}`)).map((each) => each.toJS());
const MANIFESTS = FILES.flatMap(manifestsIn);
const the = (kind: string, name: string): Manifest => {
  const found = MANIFESTS.find((each) => each.kind === kind && each.metadata.name === name);
  expect(found, `${kind} ${name}`).toMatchObject({ kind, metadata: { name } });
  return found as Manifest;
};

function configOf(text: string, env: Record<string, string> = {}): Config {
  const folder = mkdtempSync(join(tmpdir(), "perennial-settings-"));
  try {
    writeFileSync(join(folder, "perennial.yaml"), text);
    return loadConfig({ file: undefined, env, flags: {}, cwd: folder }).config;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("Kubernetes", () => {
  test("knows every field of them, and its type: by the types of its API", () => {
    // The compiler refuses in a literal what a schema that is open would let pass: a field that is misspelled.
    const folder = mkdtempSync(join(tmpdir(), "perennial-manifests-"));
    const write = (name: string, manifest: Manifest): void => {
      const module = manifest.apiVersion === "v1" ? "core/v1" : manifest.apiVersion.replace(".k8s.io", "");
      writeFileSync(
        join(folder, `${name}.ts`),
        `import type { ${manifest.kind} } from "kubernetes-types/${module}";\nexport const it: ${manifest.kind} = ${JSON.stringify(manifest)};\n`,
      );
    };
    for (const manifest of MANIFESTS) write(`${manifest.kind}-${manifest.metadata.name}`, manifest);
    const misspelled = structuredClone(the("Deployment", "perennial"));
    misspelled.spec.template.spec.terminationGracePeriod = 1;
    write("misspelled", misspelled);
    const types = fileURLToPath(new URL("node_modules/kubernetes-types/*", root));
    const compilerOptions = { strict: true, noEmit: true, skipLibCheck: true, types: [], module: "nodenext" };
    const paths = { "kubernetes-types/*": [`${types}.d.ts`] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: { ...compilerOptions, paths } }));
    const tsc = fileURLToPath(new URL("node_modules/typescript/bin/tsc", root));
    const { stdout } = spawnSync(process.execPath, [tsc, "-p", folder, "--pretty", "false"], { encoding: "utf8", cwd: folder });
    rmSync(folder, { recursive: true });
    const errors = stdout.trim().split("\n");
    expect(errors.filter((line) => !line.startsWith("misspelled.ts"))).toEqual([]);
    expect(errors.join()).toContain(`'"terminationGracePeriod"' does not exist`);
    expect(MANIFESTS.length).toBeGreaterThan(6);
  });

  test.each(FILES)("%s: what names another part of it finds it there", (file) => {
    for (const { kind, metadata, spec } of manifestsIn(file)) {
      if (kind === "HorizontalPodAutoscaler") the(spec.scaleTargetRef.kind, spec.scaleTargetRef.name);
      if (kind === "PodDisruptionBudget" || kind === "Service")
        expect(the("Deployment", metadata.name).spec.template.metadata.labels).toMatchObject(
          spec.selector.matchLabels ?? spec.selector,
        );
      if (kind !== "Deployment") continue;
      expect(spec.template.metadata.labels).toMatchObject(spec.selector.matchLabels);
      const pod = spec.template.spec;
      for (const { configMap } of pod.volumes) the("ConfigMap", configMap.name);
      const container = [...(pod.initContainers ?? []), ...pod.containers].find(({ name }) => name === "perennial");
      expect(pod.volumes.map(({ name }: { name: string }) => name)).toContain(container.volumeMounts[0].name);
      const user = { ...pod.securityContext, ...container.securityContext };
      expect(user).toMatchObject({ runAsNonRoot: true, runAsUser: 1000, readOnlyRootFilesystem: true });
      for (const probe of [container.readinessProbe, container.livenessProbe])
        if (probe?.httpGet) expect(container.ports.map(({ name }: { name: string }) => name)).toContain(probe.httpGet.port);
    }
  });

  test.each([
    ["perennial", "perennial"],
    ["app", "app-perennial"],
  ])("the pod of %s starts with its settings, and gives streams the time to finish", (deployment, settings) => {
    const pod = the("Deployment", deployment).spec.template.spec;
    const { env = [] } = (pod.initContainers ?? pod.containers)[0];
    // That of the image, and of the secret in README.md; a pod that others can reach, without keys, would not start.
    const given = {
      PERENNIAL_HOST: "0.0.0.0",
      PERENNIAL_API_KEY: "ours",
      CLIENT_KEY: "theirs",
      REDIS_URL: "redis://redis:6379/0",
    };
    const own = Object.fromEntries(env.map(({ name, value }: { name: string; value: string }) => [name, value]));
    const { drain } = configOf(the("ConfigMap", settings).data["perennial.yaml"], { ...given, ...own });
    const [, before = "0"] = pod.containers[0].lifecycle?.preStop.exec.command ?? [];
    const needed = Number(before) + drain.timeout / 1000 + CLOSING_SECONDS;
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(needed);
  });
});

describe("compose", () => {
  const { services } = parse(read("compose/replicas.yml"), { merge: true });
  const nginx = read("compose/replicas.nginx.conf");
  const config = configOf(read("compose/perennial-replicas.yaml"));
  const seconds = (text: string): number => Number.parseInt(text, 10) * (text.endsWith("m") ? 60 : 1);

  test("stops nothing before its streams had the time to finish", () => {
    for (const name of ["perennial-1", "perennial-2", "nginx"])
      expect(seconds(services[name].stop_grace_period)).toBeGreaterThanOrEqual(config.drain.timeout / 1000 + CLOSING_SECONDS);
  });

  test("has nginx ask every replica, take what they take, and wait longer than they do", () => {
    const asked = [...nginx.matchAll(/^\s+server (\S+):8787/gm)].map(([, name]) => name);
    expect(asked).toEqual(Object.keys(services).filter((name) => name.startsWith("perennial-")));
    const of = (name: string): string => new RegExp(`^\\s+${name} (.*);$`, "m").exec(nginx)?.[1] ?? "";
    expect(of("client_max_body_size")).toBe(`${config.limits.maxBodyBytes / 1024 ** 2}m`);
    expect(seconds(of("proxy_read_timeout")) * 1000).toBeGreaterThan(config.timeouts.unstreamed);
    expect(of("proxy_buffering")).toBe("off");
    expect(config.store).toMatchObject({ url: `redis://${Object.keys(services).find((name) => name === "redis")}:6379/0` });
  });
});
