/** The upstream, and Perennial before it as a user runs it: once for the OpenAI family, once for Chatchat. Plays cases end to end. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type SpawnedPerennial, spawnPerennial } from "../support/spawn-perennial.ts";
import type { Case } from "./case.ts";
import { type Disagreement, judge } from "./judge.ts";
import { closeClients, play, type Told } from "./play.ts";
import { startFuzzUpstream } from "./upstream.ts";

export interface Judged {
  readonly told: Told;
  readonly disagreement: Disagreement | undefined;
}

export interface Arena {
  play(played: Case): Promise<Judged>;
  close(): Promise<void>;
}

/** Defaults, but that nobody waits before the next attempt, and that every request may be asked again: nearly all are broken. */
const SETTINGS = {
  port: 0,
  retry: { backoff: { initial: "1ms", jitter: false }, budget: { min: 1_000_000 } },
  log: { level: "error" },
};

export async function openArena(): Promise<Arena> {
  const upstream = await startFuzzUpstream();
  const folder = mkdtempSync(join(tmpdir(), "perennial-fuzz-"));
  const start = async (name: string, configured: object): Promise<SpawnedPerennial> => {
    const file = join(folder, `${name}.yaml`);
    // JSON is YAML.
    writeFileSync(file, JSON.stringify({ ...SETTINGS, upstreams: [configured] }));
    return spawnPerennial(["--config", file, "--log-level", "info"]);
  };
  const openai = await start("openai", { baseUrl: `${upstream.url}/v1` });
  const chatchat = await start("chatchat", { baseUrl: upstream.url, profile: "chatchat" });
  const all = [openai, chatchat];
  let number = 0;
  return {
    async play(played) {
      const mine = ++number;
      upstream.cases.set(mine, played);
      const perennial = played.dialect.startsWith("chatchat") ? chatchat : openai;
      const told = await play(perennial.url, mine, played);
      upstream.cases.delete(mine);
      if (perennial.process.exitCode !== null) throw new Error(`Perennial has ended:\n${perennial.output().slice(-2_000)}`);
      return { told, disagreement: judge(played, told) };
    },
    async close() {
      closeClients();
      await Promise.all(all.map((perennial) => perennial.stop()));
      upstream.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
