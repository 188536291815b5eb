/** The dashboard, the alerts and the scrape configuration in examples/ ask only for what /metrics serves. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { send } from "./support/client.ts";
import { startPerennial, type TestPerennial } from "./support/perennial.ts";
import { queryableNames } from "./support/prometheus.ts";

let perennial: TestPerennial;
let served: Set<string>;

beforeAll(async () => {
  perennial = await startPerennial("http://127.0.0.1:9/v1");
  served = queryableNames((await send(`${perennial.url}/metrics`)).body);
});
afterAll(() => perennial.close());

const fileOf = (path: string): string => fileURLToPath(new URL(`../examples/${path}`, import.meta.url));
const read = (path: string): string => readFileSync(fileOf(path), "utf8");

/** The metrics that a query asks for. Its functions and labels have other prefixes. */
const namesIn = (query: string): string[] => query.match(/\b(?:perennial|process|nodejs)_\w+/g) ?? [];

const text = z.string().min(1);
const rulesSchema = z.strictObject({
  groups: z.array(
    z.strictObject({
      name: text,
      rules: z.array(
        z.strictObject({
          alert: text.regex(/^Perennial[A-Z]\w+$/),
          expr: text,
          for: text.regex(/^\d+m$/).optional(),
          labels: z.strictObject({ severity: z.enum(["warning", "critical"]) }),
          annotations: z.strictObject({ summary: text }),
        }),
      ),
    }),
  ),
});

test("every alert is a rule, and asks for what is served", () => {
  const rules = rulesSchema.parse(parse(read("prometheus/alerts.yml"))).groups.flatMap((group) => group.rules);
  expect(rules.length).toBeGreaterThan(5);
  expect(rules.flatMap(({ expr }) => namesIn(expr)).filter((name) => !served.has(name))).toEqual([]);
  for (const { alert, expr } of rules) expect([alert, namesIn(expr).length > 0 || expr.startsWith("up{")]).toEqual([alert, true]);
});

test("the autoscaler of Kubernetes goes by what is served", () => {
  const { spec } = parse(read("kubernetes/autoscale.yaml"));
  expect(served).toContain(spec.metrics[0].pods.metric.name);
});

test("promtool, where it is installed, accepts alerts and configuration", ({ skip }) => {
  const check = (...args: string[]) => spawnSync("promtool", ["check", ...args], { encoding: "utf8" });
  const config = check("config", fileOf("prometheus/prometheus.yml"));
  if (config.error !== undefined) skip("no promtool");
  expect(config.stdout + config.stderr).toContain("SUCCESS");
  expect(check("rules", fileOf("prometheus/alerts.yml"))).toMatchObject({ status: 0 });
});

test("the scrape configuration names the default port, and the rules beside it", () => {
  const schema = z.looseObject({
    rule_files: z.tuple([z.literal("alerts.yml")]),
    scrape_configs: z.array(
      z.looseObject({ job_name: z.literal("perennial"), static_configs: z.array(z.strictObject({ targets: z.array(text) })) }),
    ),
  });
  const { scrape_configs } = schema.parse(parse(read("prometheus/prometheus.yml")));
  expect(scrape_configs[0]?.static_configs).toEqual([{ targets: ["127.0.0.1:8787"] }]);
});

test("every panel of the dashboard stands in its place, and asks for what is served", () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's own syntax for a variable
  const datasource = z.strictObject({ type: z.literal("prometheus"), uid: z.literal("${datasource}") });
  const place = z.strictObject({ x: z.int().min(0), y: z.int().min(0), w: z.int().max(24), h: z.int() });
  const panel = z.looseObject({
    id: z.int(),
    type: z.enum(["stat", "timeseries"]),
    title: text,
    datasource,
    gridPos: place,
    targets: z.array(z.strictObject({ refId: text, datasource, expr: text, legendFormat: z.string() })).min(1),
  });
  const variable = z.looseObject({ name: text, query: z.union([text, z.looseObject({ query: text })]) });
  const dashboard = z
    .looseObject({
      title: z.literal("Perennial"),
      panels: z.array(panel),
      templating: z.strictObject({ list: z.array(variable) }),
    })
    .parse(JSON.parse(read("grafana/perennial.json")));

  const queries = [...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))];
  for (const query of queries) expect([query, namesIn(query).length > 0]).toEqual([query, true]);
  const variables = dashboard.templating.list.map(({ query }) => (typeof query === "string" ? query : query.query));
  expect([...queries, ...variables].flatMap(namesIn).filter((name) => !served.has(name))).toEqual([]);

  expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
  const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`),
  );
  expect(new Set(cells).size, "no panel covers another").toBe(cells.length);
});

test("every metric of Perennial's own is on the dashboard", () => {
  const shown = new Set(namesIn(read("grafana/perennial.json")));
  const own = [...served].filter((name) => name.startsWith("perennial_") && !/_(sum|count)$/.test(name));
  expect(own.filter((name) => !shown.has(name))).toEqual([]);
});
