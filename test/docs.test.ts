/** What the documents say can be done: links lead somewhere, settings are valid, commands are taken, scripts exist. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { parseSpec } from "../src/chaos/fault-spec.ts";
import { runProgram } from "../src/cli/program.ts";
import { configFrom } from "../src/config/config-from.ts";

const root = new URL("../", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), "utf8");
const PAGES = [
  ...readdirSync(root).filter((file) => file.endsWith(".md")),
  ...readdirSync(new URL("docs/", root))
    .filter((file) => file.endsWith(".md"))
    .map((file) => `docs/${file}`),
  "test/cases/README.md",
  "examples/kubernetes/README.md",
  "examples/windows/README.md",
];
const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };

const fences = (text: string, language: string): string[] => {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"))].map(([, code = ""]) => code);
};
/** As GitHub makes them of headings. */
const anchorsOf = (text: string): Set<string> => {
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, "")
        .trim()
        .replace(/\s/g, "-"),
    ),
  );
};

describe.each(PAGES)("%s", (page) => {
  const text = read(page);
  const prose = text.replace(/^```.*?^```/gms, "");

  test("leads to what is there", () => {
    for (const [, link = ""] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      const [path = "", anchor] = link.split("#");
      const target = path === "" ? new URL(page, root) : new URL(path, new URL(page, root));
      expect(existsSync(target), link).toBe(true);
      if (anchor !== undefined) expect([...anchorsOf(readFileSync(target, "utf8"))], link).toContain(anchor);
    }
  });

  test("shows settings that are valid", () => {
    for (const code of fences(text, "yaml")) {
      const values: unknown = parse(code);
      // Pieces of other programs' files are none of ours.
      if (typeof values !== "object" || values === null || !Object.keys(values).some((key) => OURS.has(key))) continue;
      expect(() => configFrom(values as object), code).not.toThrow();
    }
  });

  test("names settings that there are", () => {
    for (const [, name = ""] of prose.matchAll(/`(?:upstreams\[\]\.)?([a-z]\w*(?:\.[a-z]\w*)+)(?::[^`]*)?`/g))
      if (GROUPS.has(name.split(".")[0] ?? "")) expect([...SETTINGS], name).toContain(name);
    for (const [, name = ""] of prose.matchAll(/`upstreams\[\]\.(\w+)[:`]/g))
      expect([...SETTINGS], name).toContain(`upstreams.${name}`);
  });

  test("names faults that there are", () => {
    for (const [, spec = ""] of prose.matchAll(/`chaos\/([^`…/$]+)`/g)) expect(() => parseSpec(spec), spec).not.toThrow();
  });

  test("gives commands that are taken", async () => {
    for (const [command, args] of commandsIn(text)) {
      const { code, said } = await tryCommand(args);
      expect({ command, code, said: code === 0 ? "" : said }).toEqual({ command, code: 0, said: "" });
    }
    for (const [, script = ""] of text.matchAll(/npm run (?:--silent )?([a-z][\w:-]*)/g))
      expect(Object.keys(scripts)).toContain(script);
  });
});

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
}

/** Every setting by its name, those in it included. */
function settingsOf({ properties = {}, items, anyOf = [] }: Schema, path = ""): string[] {
  const own = Object.entries(properties).flatMap(([key, schema]) => [path + key, ...settingsOf(schema, `${path}${key}.`)]);
  return [...own, ...[...anyOf, ...(items === undefined ? [] : [items])].flatMap((schema) => settingsOf(schema, path))];
}
const SETTINGS = new Set(settingsOf(JSON.parse(read("config.schema.json"))));
const GROUPS = new Set([...SETTINGS].filter((name) => name.includes(".")).map((name) => name.split(".")[0]));

const OURS = new Set(["upstreams", "timeouts", "retry", "auth", "limits", "drain", "heartbeat"]);

function* commandsIn(text: string): Generator<[string, string[]]> {
  for (const line of fences(text, "sh").join("\n").split("\n")) {
    const command = line.replace(/\s+#.*$/, "").trim();
    const [, chaos, rest] = /^(?:perennial|node dist\/main\.js|npx --no perennial(-chaos)?)\b(.*)$/.exec(command) ?? [];
    if (rest === undefined || /[|>&]/.test(rest)) continue;
    yield [
      command,
      [
        ...(chaos === undefined ? [] : ["chaos"]),
        ...rest
          .trim()
          .split(/\s+/)
          .filter((word) => word !== ""),
      ],
    ];
  }
}

/** Parsed as typed, done not at all. A placeholder for a URL is none. */
async function tryCommand(args: string[]): Promise<{ code: number; said: string }> {
  let said = "";
  const out = { write: (text: string) => (said += text) };
  const nothing = async (): Promise<void> => {};
  const none = async (): Promise<number> => 0;
  // Files that a reader would have.
  const present = args.map((word) =>
    word === "perennial.yaml" ? "config.example.yaml" : word === "URL" ? "http://127.0.0.1:1/v1" : word,
  );
  const actions = {
    serve: nothing,
    chaos: nothing,
    record: nothing,
    replay: nothing,
    doctor: none,
    init: none,
    try: none,
    top: none,
    stdout: out,
    stderr: out,
    env: {},
  };
  const code = await runProgram(present, { ...actions, cwd: new URL(root).pathname });
  return { code, said };
}

test.each(PAGES)("%s has lines that an editor shows whole", (page) => {
  const prose = read(page).replace(/^```.*?^```/gms, "");
  expect(prose.split("\n").filter((line) => line.length > 130 && !/^(?:\||<!--|!\[)/.test(line))).toEqual([]);
});

test.each(PAGES.filter((page) => page.endsWith(".zh-CN.md")))("%s says what its English sibling says", (page) => {
  const [chinese, english] = [read(page), read(page.replace(".zh-CN", ""))];
  const outline = (text: string) => {
    const prose = text.replace(/^```.*?^```/gms, "");
    return {
      headings: [...prose.matchAll(/^(#+) /gm)].map(([, depth]) => depth),
      fences: [...text.matchAll(/^```(\w*)\n/gm)].map(([, language]) => language),
      rows: [...prose.matchAll(/^\|/gm)].length,
      items: [...prose.matchAll(/^ *(?:-|\d+\.) /gm)].length,
      pictures: [...prose.matchAll(/^!\[/gm)].length,
    };
  };
  expect(outline(chinese)).toEqual(outline(english));
  const base = (path: string): string => path.split("/").at(-1) ?? path;
  expect(english).toContain(`(${base(page)})`);
  expect(chinese).toContain(`(${base(page).replace(".zh-CN", "")})`);
});

test("the documents hold enough of both for this to mean something", () => {
  const texts = PAGES.map(read);
  expect(texts.flatMap((text) => [...commandsIn(text)]).length).toBeGreaterThan(15);
  expect(texts.flatMap((text) => fences(text, "yaml")).length).toBeGreaterThan(6);
});
