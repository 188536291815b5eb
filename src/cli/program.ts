/** The command line: commands, flags, help and exit codes. What the commands do is handed in. */
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { FRAMINGS, type Framing } from "../chaos/framing.ts";
import { PERSONALITY_NAMES, type PersonalityName } from "../chaos/personality-name.ts";
import type { Rates } from "../chaos/upstreams.ts";
import { ConfigError } from "../config/config-error.ts";
import type { Env } from "../config/env.ts";
import { type ConfigFlags, DEFAULT_FILE, type LoadedConfig, loadConfig } from "../config/load.ts";
import { printConfig } from "../config/print.ts";
import { listProfiles } from "../config/profiles.ts";
import { CommandEnded } from "./command-ended.ts";
import { addDoctor, type DoctorContext } from "./doctor-command.ts";
import { addSetup, type SetupActions } from "./setup-commands.ts";
import { readVersion } from "./version.ts";

export interface ChaosOptions {
  readonly port: number;
  readonly host: string;
  /** Only list the faults; do not listen. */
  readonly list: boolean;
  /** For programs: the list, or where it listens. */
  readonly json?: boolean;
  /** Share of the requests to break at random, 0 to 1; or by upstream. */
  readonly rate?: number | Rates;
  /** What requests get that name no fault. */
  readonly fault?: string;
  readonly seed?: number;
  readonly framing?: Framing;
  /** The server to stand in for. */
  readonly as?: PersonalityName;
  /** Base URL of the model server behind it. */
  readonly model?: string;
}

export interface RecordOptions {
  readonly out: string;
  readonly upstream: string;
  readonly port: number;
  readonly host: string;
  /** After how many exchanges it is over. */
  readonly count: number;
  readonly maskTexts: boolean;
}

export interface ReplayOptions {
  readonly file: string;
  readonly port: number;
  readonly host: string;
}

interface Output {
  write(text: string): unknown;
}

export interface ProgramActions extends SetupActions {
  /** @param read the configuration as its sources are now. Throws ConfigError. */
  serve(loaded: LoadedConfig, read: () => LoadedConfig): Promise<void>;
  chaos(options: ChaosOptions): Promise<void>;
  readonly doctor: DoctorContext["doctor"];
  record(options: RecordOptions): Promise<void>;
  replay(options: ReplayOptions): Promise<void>;
  readonly stdout: Output;
  readonly stderr: Output;
  /** @defaultValue process.env */
  readonly env?: Env;
  /** @defaultValue process.cwd() */
  readonly cwd?: string;
}

const FILE_MEANING = `configuration file (default: $PERENNIAL_CONFIG, or ${DEFAULT_FILE} if it is there)`;

/** Exit code for a wrong command line or a wrong configuration. */
export const EXIT_USAGE = 2;

const HELP = `
Options of serve may be given without its name:
  --config FILE     configuration file (default: $PERENNIAL_CONFIG, or ${DEFAULT_FILE} if it is there)
  --upstream URL    base URL of the upstream
  --profile NAME    which server it is; presets what fits it (perennial profiles lists them)
  --host H          address to listen on
  --port N          port to listen on
  --log-level L     trace, debug, info, warn, error, fatal or silent
  --quiet, --json   log warnings and errors only; log JSON, on a terminal too

Examples:
  $ perennial                                          try it with the built-in sandbox upstream
  $ perennial --upstream https://api.openai.com/v1     stand in front of OpenAI
  $ perennial --upstream http://127.0.0.1:8080/v1 --profile llamacpp
  $ perennial --config ${DEFAULT_FILE} --port 9000      with a configuration file
  $ perennial doctor https://api.openai.com/v1         is the key right, does the server end its streams, which settings fit
  $ perennial init                                     asks three questions and writes a configuration file
  $ perennial try "Hello!"                             one question through the Perennial that runs
  $ perennial check-config                             show the resulting configuration, or what is wrong with it
  $ perennial chaos --list                             what can go wrong with a stream

Then point your client at it:
  $ export OPENAI_BASE_URL=http://127.0.0.1:8787/v1

Environment: PERENNIAL_CONFIG, PERENNIAL_UPSTREAM, PERENNIAL_API_KEY, PERENNIAL_HOST, PERENNIAL_PORT, PERENNIAL_LOG_LEVEL,
PERENNIAL_KEYS (keys for clients, separated by commas), PERENNIAL_OPEN (true or false); HTTPS_PROXY, HTTP_PROXY, NO_PROXY.
Flags win over the environment, and the environment over the file.`;

/**
 * The commander program. Its `parseAsync` throws CommanderError and ConfigError and never exits the process;
 * {@link runProgram} turns both into exit codes.
 */
export function createProgram(actions: ProgramActions): Command {
  const { stdout, stderr, env = process.env, cwd = process.cwd() } = actions;
  const program = new Command("perennial")
    .description("A local reverse proxy that makes LLM streams unbreakable.")
    .version(readVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand(false)
    .usage("[command] [options]")
    .addHelpText("after", HELP)
    .showHelpAfterError("(perennial --help shows what there is)")
    .configureOutput({ writeOut: (text) => stdout.write(text), writeErr: (text) => stderr.write(text) })
    .exitOverride();

  program
    .command("serve", { isDefault: true })
    .description("start the proxy (the default command)")
    .option("--config <file>", FILE_MEANING, toText)
    .option("--upstream <url>", "base URL of the upstream, such as https://api.openai.com/v1")
    .option("--profile <name>", "which server the upstream is, such as anthropic or llamacpp; see perennial profiles")
    .option("--host <host>", "address to listen on")
    .option("--port <number>", "port to listen on")
    .option("--log-level <level>", "trace, debug, info, warn, error, fatal or silent")
    .option("--quiet", "log warnings and errors only")
    .option("--json", "log JSON, on a terminal too")
    .allowExcessArguments()
    .action(async ({ config: file, ...flags }: { config?: string } & ConfigFlags, command: Command) => {
      // Whatever is no command arrives here, at the default one.
      const [unknown] = command.args;
      if (unknown !== undefined) {
        const known = program.commands.map((each) => each.name()).join(", ");
        command.error(`error: unknown command '${unknown}' (commands: ${known})`, { code: "commander.unknownCommand" });
      }
      const loaded = loadConfig({ file, env, flags, cwd });
      // The file by its path: if it vanishes, that is a mistake, and not a wish for the defaults.
      await actions.serve(loaded, () => loadConfig({ file: loaded.file ?? file, env, flags, cwd }));
    });

  program
    .command("check-config")
    .description("print the resulting configuration, secrets masked, or what is wrong with it")
    .argument("[file]", FILE_MEANING, toText)
    .action((file: string | undefined) => {
      const loaded = loadConfig({ file, env, flags: {}, cwd });
      for (const warning of loaded.warnings) stderr.write(`${warning}\n`);
      stdout.write(`# From ${loaded.file ?? "the defaults"} and the environment.\n${printConfig(loaded.config)}`);
    });

  program
    .command("profiles")
    .description("list the kinds of servers that are known, and what each profile changes and why")
    .action(() => {
      stdout.write(listProfiles());
    });

  addDoctor(program, FILE_MEANING, { doctor: actions.doctor, env, cwd });
  addSetup(program, actions);

  program
    .command("chaos")
    .description("start an upstream that fails in every known way, to test a client or a proxy against")
    .option("--port <number>", "port to listen on; 0 picks a free one", toPort, 8788)
    .option("--host <host>", "address to listen on", toText, "127.0.0.1")
    .option("--list", "list the faults and exit", false)
    .option("--json", "with --list: the list as JSON; without: one line of JSON that says where it listens")
    .option(
      "--fault <spec>",
      "play this for requests that name no fault, such as 503, or close@a for the upstream at /a/v1",
      toText,
    )
    .option("--rate <share>", "break this share of the requests that name no fault, 0 to 1; or by upstream: 0.5@a,0.05@b", toRate)
    .option("--seed <number>", "the same seed breaks the same requests", toSeed)
    .addOption(new Option("--framing <framing>", "how bodies end").choices(FRAMINGS))
    .addOption(new Option("--as <server>", "stand in for this server, with all its habits").choices(PERSONALITY_NAMES))
    .option("--model <url>", "with --as chatchat-0.2: base URL of the model server that it asks", toText)
    .action((options: ChaosOptions) => actions.chaos(options));

  addCaptures(program, actions);
  return program;
}

/** What a broken stream is reported with, and how its report is seen again. */
function addCaptures(program: Command, { record, replay }: ProgramActions): void {
  program
    .command("record")
    .description("stand before an upstream and write down what it sends, byte by byte, as a case that can be replayed")
    .requiredOption("--out <file>", "where to write it", toText)
    .requiredOption("--upstream <url>", "base URL of the upstream", toUrl)
    .option("--count <number>", "stop after so many exchanges; a client that retries makes several", toCount, 1)
    .option("--mask-texts", "mask prompts and answers as well as keys", false)
    .option("--port <number>", "port to listen on; 0 picks a free one", toPort, 8789)
    .option("--host <host>", "address to listen on", toText, "127.0.0.1")
    .action((options: RecordOptions) => record(options));

  program
    .command("replay")
    .description("play what was recorded, as an upstream")
    .argument("<file>", "what perennial record wrote, or a file of test/cases/", toText)
    .option("--port <number>", "port to listen on; 0 picks a free one", toPort, 8788)
    .option("--host <host>", "address to listen on", toText, "127.0.0.1")
    .action((file: string, options: Omit<ReplayOptions, "file">) => replay({ ...options, file }));
}

/**
 * Runs one command line.
 * @param args without the interpreter and the script: `process.argv.slice(2)`
 * @returns the exit code: 0, what a command has to say with it, or 2 for a wrong command line or configuration, already explained on stderr
 * @throws whatever else a command throws
 */
export async function runProgram(args: readonly string[], actions: ProgramActions): Promise<number> {
  try {
    await createProgram(actions).parseAsync([...args], { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommandEnded) return error.exitCode;
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    if (!(error instanceof ConfigError)) throw error;
    actions.stderr.write(`${error.problems.join("\n")}\n`);
    return EXIT_USAGE;
  }
}

/** An empty one is a shell's unset variable, and would be taken for one that was not given. */
function toText(text: string): string {
  if (text === "") throw new InvalidArgumentError("Expected some text.");
  return text;
}

function toUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new InvalidArgumentError("Expected an http or https URL.");
  return text;
}

function toCount(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError("Expected a whole number from 1 on.");
  return Number(text);
}

function toPort(text: string): number {
  if (!/^\d+$/.test(text) || Number(text) > 65_535) throw new InvalidArgumentError("Expected a whole number from 0 to 65535.");
  return Number(text);
}

/** One share, or one for each of several upstreams. */
function toRate(text: string): number | Rates {
  if (!text.includes("@")) return toShare(text);
  const parts = text.split(",").map((part) => /^(.*)@([a-z])$/.exec(part));
  return Object.fromEntries(
    parts.map((part) => {
      if (part === null) throw new InvalidArgumentError("Expected a share for each of several upstreams, such as 0.5@a,0.05@b.");
      return [part[2], toShare(part[1] ?? "")];
    }),
  );
}

function toShare(text: string): number {
  const share = Number(text);
  if (text.trim() === "" || !(share >= 0 && share <= 1))
    throw new InvalidArgumentError("Expected a number from 0 to 1, such as 0.05.");
  return share;
}

function toSeed(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("Expected a whole number.");
  return Number(text);
}
