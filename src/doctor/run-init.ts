/** `perennial init`: three questions, an examination, and a commented perennial.yaml. */
import { writeFileSync } from "node:fs";
import { ConfigError } from "../config/config-error.ts";
import { type Settings as ConfigSettings, configFrom } from "../config/config-from.ts";
import { printSettings } from "../config/print-settings.ts";
import { hasFault, printVerdict, type Verdict } from "./report.ts";
import { examineAll } from "./run-doctor.ts";

export interface InitOptions {
  readonly upstream?: string | undefined;
  /** Name of the environment's variable that holds the upstream's key; empty for none. */
  readonly keyVariable?: string | undefined;
  readonly port?: number | undefined;
  readonly model?: string | undefined;
  /** Where to write it. */
  readonly out: string;
  /** Over a file that is there. */
  readonly force: boolean;
}

export interface InitContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Undefined where there is nobody to ask. An empty answer takes what is proposed. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
  readonly write: (text: string) => unknown;
  /** @defaultValue 60_000 */
  readonly patienceMs?: number;
}

interface Answers {
  readonly baseUrl: string;
  readonly keyVariable: string;
  readonly port: number;
}

const DEFAULT_PORT = 8787;

/**
 * @returns the exit code: 1 where something will fail; the file is written all the same, since the server may just not run yet.
 * @throws ConfigError when the answers cannot be used, or the file cannot be written.
 */
export async function runInit(options: InitOptions, context: InitContext): Promise<0 | 1> {
  const answers = await collect(options, context);
  const apiKey = answers.keyVariable === "" ? undefined : context.env[answers.keyVariable];
  const upstream = { baseUrl: answers.baseUrl, ...(apiKey === undefined ? {} : { apiKey }) };
  const config = configFrom({ port: answers.port, upstreams: [upstream] } as ConfigSettings);
  const patience = context.patienceMs === undefined ? {} : { patienceMs: context.patienceMs };
  const examination = { config, model: options.model, env: context.env, ...patience };
  const [verdict] = await examineAll(examination, new AbortController().signal);
  if (verdict === undefined) throw new ConfigError(["there is no upstream to examine"]);
  context.write(`${printVerdict(verdict)}\n`);
  save(options, fileOf(verdict, answers));
  context.write(`Written to ${options.out}. Start it with: perennial --config ${options.out}\n`);
  return hasFault([verdict]) ? 1 : 0;
}

async function collect({ upstream, keyVariable, port }: InitOptions, { ask }: InitContext): Promise<Answers> {
  if (ask === undefined) {
    if (upstream === undefined) throw new ConfigError(["which upstream? perennial init --upstream URL"]);
    return { baseUrl: upstream, keyVariable: keyVariable ?? "", port: port ?? DEFAULT_PORT };
  }
  const baseUrl = upstream ?? (await ask("Base URL of your LLM server, such as http://127.0.0.1:8000/v1: "));
  const variable =
    keyVariable ?? (await ask("Which environment variable holds its key? (empty: none, or clients bring their own) "));
  const asked = port ?? Number((await ask(`Port for Perennial to listen on [${DEFAULT_PORT}]: `)) || DEFAULT_PORT);
  return { baseUrl: baseUrl.trim(), keyVariable: variable.trim().replace(/^\$\{?|\}$/g, ""), port: asked };
}

/** Each setting that is not a default below the reason for it. */
function fileOf({ proposal, findings }: Verdict, { keyVariable, port }: Answers): string {
  const { baseUrl, apiKey: _, ...settings } = proposal;
  const lines = [
    "# yaml-language-server: $schema=./config.schema.json",
    "# Written by `perennial init`. Whatever is not here has its default: config.example.yaml has all settings, and what they mean.",
    "",
    ...yaml({ port }),
    "",
    "upstreams:",
    ...yaml({ baseUrl }).map((line) => `  - ${line}`),
  ];
  if (keyVariable !== "") {
    lines.push("    # From the environment, so that no key stands in a file.", `    apiKey: "\${${keyVariable}:-}"`);
  }
  for (const [name, value] of Object.entries(settings)) {
    const reason = findings.find((finding) => finding.settings !== undefined && name in finding.settings);
    if (reason !== undefined) lines.push(...comment(reason.says), ...comment(reason.advice ?? ""));
    lines.push(...yaml({ [name]: value }).map((line) => `    ${line}`));
  }
  return `${lines.join("\n")}\n`;
}

function comment(text: string): string[] {
  // A server's own words must stay in their comment.
  return text === "" ? [] : [`    # ${text.replace(/[\p{Cc}\p{Cf}]/gu, " ").slice(0, 300)}`];
}

function yaml(settings: Record<string, unknown>): string[] {
  return printSettings(settings).trimEnd().split("\n");
}

function save({ out, force }: InitOptions, text: string): void {
  try {
    writeFileSync(out, text, { flag: force ? "w" : "wx" });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ConfigError([
      code === "EEXIST" ? `${out} is there already: --force writes over it, --out names another` : `${out}: ${code}`,
    ]);
  }
}
