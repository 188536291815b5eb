/** `perennial init`, `perennial try` and `perennial top`: their arguments. */
import { type Command, InvalidArgumentError } from "commander";
import { DEFAULT_FILE } from "../config/load.ts";
import type { InitOptions } from "../doctor/run-init.ts";
import { CommandEnded } from "./command-ended.ts";
import type { TopOptions } from "./run-top.ts";
import type { TryOptions } from "./run-try.ts";

export interface SetupActions {
  /** @returns the exit code. */
  init(options: InitOptions): Promise<number>;
  /** @returns the exit code. */
  try(options: TryOptions): Promise<number>;
  /** @returns the exit code. */
  top(options: TopOptions): Promise<number>;
}

interface InitFlags {
  readonly upstream?: string;
  readonly keyFrom?: string;
  readonly port?: number;
  readonly model?: string;
  readonly out: string;
  readonly force: boolean;
}

export function addSetup(program: Command, actions: SetupActions): void {
  program
    .command("init")
    .description(`ask three questions, examine the upstream, and write a commented ${DEFAULT_FILE}`)
    .option("--upstream <url>", "base URL of the upstream", toText)
    .option("--key-from <variable>", "the environment's variable that holds its key; '' for none")
    .option("--port <number>", "port for Perennial to listen on", toPort)
    .option("--model <name>", "the model to ask; the first on its list by default")
    .option("--out <file>", "where to write it", toText, DEFAULT_FILE)
    .option("--force", "write over a file that is there", false)
    .action(async ({ keyFrom, ...flags }: InitFlags) => end(await actions.init({ ...flags, keyVariable: keyFrom })));

  program
    .command("try")
    .description("send one question through the Perennial that runs, and show how it goes; exit code 1 if it is not whole")
    .argument("[prompt]", "the question", "Hello!")
    .option("--url <url>", "where Perennial listens", toOrigin, "http://127.0.0.1:8787")
    .option("--model <name>", "the model to ask; the first on the list by default")
    .option("--key <key>", "the key to send; $OPENAI_API_KEY by default")
    .action(async (prompt: string, options: Omit<TryOptions, "prompt">) => end(await actions.try({ prompt, ...options })));

  program
    .command("top")
    .description("show in the terminal what the dashboard shows: what runs, what broke, whose fault, what was saved")
    .option("--url <url>", "where Perennial listens", toOrigin, "http://127.0.0.1:8787")
    .option("--key <key>", "one of auth.keys, where there are any")
    .option("--once", "show it once, and end", false)
    .action(async (options: TopOptions) => end(await actions.top(options)));
}

function end(code: number): void {
  if (code !== 0) throw new CommandEnded(code);
}

function toText(text: string): string {
  if (text === "") throw new InvalidArgumentError("Expected some text.");
  return text;
}

function toPort(text: string): number {
  if (!/^\d+$/.test(text) || Number(text) > 65_535) throw new InvalidArgumentError("Expected a whole number from 0 to 65535.");
  return Number(text);
}

/** With or without the /v1 that clients add. */
function toOrigin(text: string): string {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text)) throw new InvalidArgumentError("Expected an http or https URL.");
  return text.replace(/\/+$/, "").replace(/\/v1$/, "");
}
