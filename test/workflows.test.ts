/** What strangers meet first: workflows that run only what is there and may do no more than they need, forms, and release notes. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { releaseNotes } from "../scripts/release-notes.ts";

const root = new URL("../", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), "utf8");

interface Step {
  readonly uses?: string;
  readonly run?: string;
}
interface Job {
  readonly permissions?: Record<string, string>;
  readonly "timeout-minutes"?: number;
  readonly steps: readonly Step[];
}
interface Workflow {
  readonly on: Record<string, unknown>;
  readonly permissions?: Record<string, string>;
  readonly jobs: Record<string, Job>;
}

const workflows = readdirSync(new URL(".github/workflows/", root)).map((file) => {
  return { file, workflow: parse(read(`.github/workflows/${file}`)) as Workflow };
});
const ciSteps = [...read(".ci/run").matchAll(/^step_(\w+)\(\)/gm)].map(([, name]) => name);

describe.each(workflows)("$file", ({ workflow }) => {
  const jobs = Object.values(workflow.jobs);

  test("may only read unless a job says what it writes, and never hangs for hours", () => {
    expect(workflow.permissions).toEqual({ contents: "read" });
    for (const job of jobs) expect(job["timeout-minutes"]).toBeLessThanOrEqual(60);
  });

  test("is not run with our secrets on a stranger's code", () => {
    expect(Object.keys(workflow.on)).not.toContain("pull_request_target");
  });

  test("uses actions of a known version, and puts no text of a stranger's into a shell", () => {
    for (const { uses, run } of jobs.flatMap(({ steps }) => steps)) {
      if (uses !== undefined) expect(uses).toMatch(/^(actions|docker)\/[\w-]+@(v\d+|[0-9a-f]{40})$/);
      expect(run ?? "").not.toMatch(/\$\{\{\s*github\.(event|head_ref|ref_name)/);
    }
  });

  test("runs steps of .ci/run and scripts that are there", () => {
    const commands = jobs.flatMap(({ steps }) => steps.map(({ run = "" }) => run)).join("\n");
    for (const [, names = ""] of commands.matchAll(/\.ci\/run ([^\n]*)/g)) {
      for (const name of names.split(/\s+/)) if (/^\w+$/.test(name)) expect(ciSteps).toContain(name);
    }
    for (const [script] of commands.matchAll(/scripts\/[\w-]+\.ts/g)) expect(existsSync(new URL(script, root))).toBe(true);
  });
});

test("each long step of the matrix is one of .ci/run", () => {
  const ci = parse(read(".github/workflows/ci.yml")) as { jobs: { long: { strategy: { matrix: { step: string[] } } } } };
  for (const step of ci.jobs.long.strategy.matrix.step) expect(ciSteps).toContain(step);
});

test.skipIf(process.platform === "win32")(".ci/run names its steps when it is asked for one it does not have", () => {
  const { status, stderr } = spawnSync("bash", [fileURLToPath(new URL(".ci/run", root)), "tset"], { encoding: "utf8" });
  expect(status).toBe(2);
  expect(stderr).toMatch(/no step "tset".*build.*test/);
});

test("every issue form asks for something, and says what it is for", () => {
  const forms = readdirSync(new URL(".github/ISSUE_TEMPLATE/", root)).filter((file) => file !== "config.yml");
  expect(forms).toContain("broken-stream.yml");
  for (const file of forms) {
    const form = parse(read(`.github/ISSUE_TEMPLATE/${file}`)) as Record<string, unknown> & { body: Record<string, unknown>[] };
    expect(form).toMatchObject({ name: expect.any(String), description: expect.any(String), labels: expect.any(Array) });
    const fields = form.body.filter(({ type }) => type !== "markdown");
    expect(new Set(fields.map(({ id }) => id)).size).toBe(fields.length);
    for (const field of fields) expect(field).toMatchObject({ attributes: { label: expect.any(String) } });
  }
});

test.each(["CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md"])(
  "%s leads to files that are there, by commands that are there",
  (file) => {
    const text = read(file);
    for (const [, link = ""] of text.matchAll(/\]\(([^)#]+)/g)) {
      if (!link.startsWith("http")) expect(existsSync(new URL(link, root)), link).toBe(true);
    }
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    for (const [, script = ""] of text.matchAll(/npm run ([\w:-]+)/g)) expect(Object.keys(scripts)).toContain(script);
    for (const [, path = ""] of text.matchAll(/vitest run (\S+?)`/g)) expect(existsSync(new URL(path, root)), path).toBe(true);
  },
);

describe("release notes", () => {
  const changelog =
    "# Changelog\n\n## Unreleased\n\n- new\n\n## 1.2.0 – 2026-12-01\n\n- good\n- better\n\n## 1.1.0 – unreleased\n\n- old\n\n## 1.0.0\n\n";

  test("are that version's part, and nothing else", () => {
    expect(releaseNotes(changelog, "1.2.0")).toBe("- good\n- better");
  });

  test.each([
    ["1.2", "no part"],
    ["1.1.0", "unreleased"],
    ["1.0.0", "says nothing"],
    ["Unreleased", "unreleased"],
  ])("refuse a version that has none to give: %s", (version, message) => {
    expect(() => releaseNotes(changelog, version)).toThrow(message);
  });

  test("read the changelog as it is written", () => {
    const [, version = ""] = /^## (\d\S*)/m.exec(read("CHANGELOG.md")) ?? [];
    const dated = read("CHANGELOG.md").replace(`## ${version} – unreleased`, `## ${version} – 2026-12-01`);
    expect(releaseNotes(dated, version)).toContain("- ");
  });
});
