import { describe, expect, it } from "vitest";
import { configOf, problemsOf, useConfigFolder } from "../../test/support/config-folder.ts";

useConfigFolder();

describe("variables in the file", () => {
  const expand = (value: string, env: Record<string, string> = {}) => {
    return configOf(`upstreams:\n  - baseUrl: http://a\n    apiKey: ${value}\n`, { env }).upstreams[0]?.apiKey;
  };

  /* biome-ignore-start lint/suspicious/noTemplateCurlyInString: the file's syntax */
  it("expands them wherever text may stand", () => {
    expect(expand("${A}", { A: "x" })).toBe("x");
    expect(expand("'p-${A}-${B}'", { A: "x", B: "y" })).toBe("p-x-y");
    expect(expand("${A:-d:e}")).toBe("d:e");
    expect(expand("${A:-d}", { A: "" })).toBe("d");
    expect(expand("$${A}")).toBe("${A}");
    expect(expand("$A")).toBe("$A");
  });

  it("does not expand a variable's own value, nor let it add YAML", () => {
    expect(expand("${A}", { A: "${B}" })).toBe("${B}");
    expect(expand("${A}", { A: "x#[1]" })).toBe("x#[1]");
  });

  it("keeps a key made of digits as it was written", () => {
    expect(expand("${A}", { A: "0012" })).toBe("0012");
    expect(expand("0012")).toBe("0012");
    expect(configOf("auth: { keys: [12345678901234567890, true] }").auth.keys).toEqual(["12345678901234567890", "true"]);
  });

  it("takes an empty variable for a key that is not set", () => {
    expect(expand("${A}", { A: "" })).toBeUndefined();
    expect(expand('""')).toBeUndefined();
    for (const value of ["${P:-}", '"${P:-}"']) {
      expect(configOf(`port: ${value}\nhost: ${value}\nlog: { level: "\${P:-}" }`)).toMatchObject({
        port: 8787,
        host: "127.0.0.1",
        log: { level: "info" },
      });
      expect(configOf(`log:\n  level: ${value}`).log.level).toBe("info");
    }
    // An empty key among the clients' would open the door.
    expect(problemsOf('auth: { keys: ["${P:-}"] }')[0]).toContain("expected a key without spaces");
  });

  it("reads numbers and booleans from variables, in quotes or not, since [ ] and { } leave no choice", () => {
    const env = { P: "9000", O: "true", F: "1.5", H: "false", S: "65536", D: "0" };
    expect(configOf("port: ${P}\nopen: ${O}\nheartbeat: ${H}\n", { env })).toMatchObject({
      port: 9000,
      open: true,
      heartbeat: false,
    });
    const quoted = [
      'port: "${P}"',
      "open: '${O}'",
      'heartbeat: "${H}"',
      'retry: { maxAttempts: "${N:-5}", backoff: { jitter: "${J:-false}", factor: "${F}", initial: "${D}" } }',
      'limits: { maxEventBytes: "${S}", maxBodyBytes: "${B:-1MiB}" }',
    ];
    expect(configOf(quoted.join("\n"), { env })).toMatchObject({
      port: 9000,
      open: true,
      heartbeat: false,
      retry: { maxAttempts: 5, backoff: { jitter: false, factor: 1.5, initial: 0 } },
      limits: { maxEventBytes: 65_536, maxBodyBytes: 1_048_576 },
    });
    expect(problemsOf("port: ${P}\nretry: { backoff: { jitter: '${J}' } }\n", { env: { P: "x", J: "yes" } })).toEqual([
      'perennial.yaml:1:1: port: expected a whole number from 0 to 65535, got "x"',
      'perennial.yaml:2:21: retry.backoff.jitter: expected true or false, got "yes"',
    ]);
    expect(problemsOf('port: "9000"')).toEqual(['perennial.yaml:1:1: port: expected a whole number from 0 to 65535, got "9000"']);
  });

  it("reads text from variables wherever text is wanted, whatever it looks like", () => {
    for (const text of ["12", "1e3", "true", "null", "~"]) {
      for (const value of ["${A}", '"${A}"', "'${A}'"]) expect(expand(value, { A: text })).toBe(text);
      expect(configOf('auth: { keys: ["${A}"] }', { env: { A: text } }).auth.keys).toEqual([text]);
      expect(problemsOf("upstreams: [{ baseUrl: http://a, ca: '${A}' }]", { env: { A: text } })[0]).toContain("no such file");
    }
  });

  it.each([
    ["upstreams: ${E}", "upstreams"],
    ['auth: "${E}"', "auth"],
    ["auth: { keys: '${E}' }", "auth.keys"],
    ["auth:\n  keys: ${E}\n", "auth.keys"],
    ['tls: "${E}"', "tls"],
  ])("does not let a list or a mapping vanish with an empty variable: %j", (yaml, key) => {
    expect(problemsOf(yaml, { env: { E: "" } })[0]).toContain(`${key}: expected`);
  });

  it("leaves it to the quotes where any value may stand", () => {
    const yaml = 'warmup:\n  request:\n    user: "${A}"\n    max_tokens: ${A}\n    stop: "${E:-}"\n';
    const request = { user: "16", max_tokens: 16, stop: "" };
    expect(configOf(yaml, { env: { A: "16" } }).warmup).toMatchObject({ request });
  });

  it("leaves comments and keys alone", () => {
    expect(configOf("# ${NOPE}\nport: 1 # ${NOPE}\n").port).toBe(1);
    expect(problemsOf("'${A}': 1\n", { env: { A: "port" } })[0]).toContain("unknown key");
  });

  it("names the file, the line, the key and the missing variable, once", () => {
    expect(problemsOf("log:\n  level: ${LEVEL}\nauth:\n  keys:\n    - ${KEY}\n")).toEqual([
      "perennial.yaml:2:3: log.level: the environment variable LEVEL is not set (${LEVEL:-default} gives it a default)",
      "perennial.yaml:5:7: auth.keys[0]: the environment variable KEY is not set (${KEY:-default} gives it a default)",
    ]);
  });

  it.each(["${", "${A", "${1A}", "${A-b}", "${}"])("refuses %s", (text) => {
    expect(problemsOf(`host: "${text}"`)).toEqual([
      "perennial.yaml:1:1: host: expected ${NAME} or ${NAME:-default}; a plain ${ is written $${",
    ]);
  });

  it.each(["${A:-${B}}", "${A:-${B:-zz}}", "${A:-$${B}", "x-${A:-y${B}}"])(
    "refuses a default with a variable of its own: %s",
    (text) => {
      for (const env of [{}, { A: "a", B: "b" }])
        expect(problemsOf(`upstreams:\n  - baseUrl: http://a\n    apiKey: ${text}\n`, { env })).toEqual([
          "perennial.yaml:3:5: upstreams[0].apiKey: the default of A cannot hold another ${; expected plain text",
        ]);
    },
  );

  it.each([
    ["auth: { keys: [${A}] }", "1:17"],
    ["retry: { maxAttempts: ${N:-3}, backoff: { initial: 1s } }\nport: 1\n", "1:24"],
    ["retry: {\n  maxAttempts: ${N:-3}\n}\n", "2:17"],
  ])("says that a variable inside [ ] or { } needs quotes, and nothing else: %j", (yaml, place) => {
    expect(problemsOf(yaml)).toEqual([
      `perennial.yaml:${place}: not valid YAML: inside [ ] and { }, a value with a variable needs quotes: "\${NAME}"`,
    ]);
  });
  /* biome-ignore-end lint/suspicious/noTemplateCurlyInString: the file's syntax */
});
