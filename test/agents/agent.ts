/** An agent run once, without a terminal: how it is started, and what it told its user. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AgentName, pathWithNode } from "./install.ts";
import { ANSWER } from "./scenarios.ts";

export interface AgentRun {
  /** The whole answer is in what the agent printed as its own. */
  readonly gotAnswer: boolean;
  /** It said that something failed, or ended with an error. */
  readonly toldError: boolean;
  readonly seconds: number;
  /** It was still at it when the patience of the test ended. */
  readonly isEndless: boolean;
  /** The end of what it printed, for a row that is wrong. */
  readonly output: string;
}

export interface AgentSetup {
  readonly program: string;
  /** Without `/v1`. */
  readonly url: string;
  /** Where it would go for all other hosts. */
  readonly proxy: string;
  readonly patienceMs: number;
}

interface Start {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

const START: Readonly<Record<AgentName, (url: string, home: string) => Start>> = {
  claude: (url, home) => ({
    args: "-p hello --model test-model --max-turns 3 --output-format stream-json --verbose --allowedTools Bash".split(" "),
    env: {
      CLAUDE_CONFIG_DIR: home,
      ANTHROPIC_BASE_URL: url,
      ANTHROPIC_API_KEY: "x",
      ANTHROPIC_SMALL_FAST_MODEL: "test-model",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      DISABLE_AUTOUPDATER: "1",
      DISABLE_TELEMETRY: "1",
      DISABLE_ERROR_REPORTING: "1",
    },
  }),
  codex(url, home) {
    writeFileSync(
      join(home, "config.toml"),
      `model = "test-model"
model_provider = "local"
check_for_update_on_startup = false
[analytics]
enabled = false
# What would be fetched from elsewhere.
[features]
plugins = false
remote_plugin = false
plugin_sharing = false
apps = false
skill_search = false
[model_providers.local]
name = "local"
base_url = "${url}/v1"
wire_api = "responses"
env_key = "LOCAL_KEY"
`,
    );
    return {
      // Its sandbox needs rights that a container may not give; the only command is an echo of ours.
      args: "exec --json --skip-git-repo-check --dangerously-bypass-approvals-and-sandbox hello".split(" "),
      env: { CODEX_HOME: home, LOCAL_KEY: "x" },
    };
  },
};

export async function runAgent(name: AgentName, { program, url, proxy, patienceMs }: AgentSetup): Promise<AgentRun> {
  const home = mkdtempSync(join(tmpdir(), `perennial-${name}-`));
  const { args, env } = START[name](url, home);
  const began = performance.now();
  const child = spawn(program, args, {
    cwd: home,
    env: { PATH: pathWithNode(), HOME: home, HTTPS_PROXY: proxy, HTTP_PROXY: proxy, NO_PROXY: "127.0.0.1", ...env },
    stdio: ["ignore", "pipe", "pipe"],
    // Its own group, so that what it has started ends with it.
    detached: true,
  });
  let output = "";
  child.stdout.on("data", (text) => {
    output += text;
  });
  child.stderr.on("data", (text) => {
    output += text;
  });
  let isEndless = false;
  const patience = setTimeout(() => {
    isEndless = true;
    endGroup(child.pid);
  }, patienceMs);
  const [code] = await once(child, "close");
  clearTimeout(patience);
  endGroup(child.pid);
  rmSync(home, { recursive: true, force: true, maxRetries: 3 });
  const seconds = (performance.now() - began) / 1_000;
  const lines = output.split("\n");
  const gotAnswer = lines.some((line) => FINAL[name].test(line) && line.includes(ANSWER));
  const toldError = !isEndless && (code !== 0 || lines.some((line) => FAILED[name].test(line)));
  return { gotAnswer, toldError, seconds, isEndless, output: output.slice(-1_500) };
}

/** Lines that hold what the user takes for the answer. */
const FINAL: Readonly<Record<AgentName, RegExp>> = {
  claude: /^\{"type":"result".*"is_error":false/,
  codex: /^\{"type":"item.completed".*"type":"agent_message"/,
};
const FAILED: Readonly<Record<AgentName, RegExp>> = {
  claude: /^\{"type":"result".*"is_error":true/,
  codex: /^\{"type":"(turn\.failed|error)"/,
};

function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended, and all that it started.
  }
}
