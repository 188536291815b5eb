/** Which composes this machine has: the plugin of the docker command, the older program, or both. */
import { spawnSync } from "node:child_process";

export interface ComposeCommand {
  /** As a user types it. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

const KNOWN: readonly ComposeCommand[] = [
  { name: "docker compose", command: "docker", args: ["compose"] },
  { name: "docker-compose", command: "docker-compose", args: [] },
];

export function findComposeCommands(): ComposeCommand[] {
  return KNOWN.filter(({ command, args }) => spawnSync(command, [...args, "version"], { stdio: "ignore" }).status === 0);
}
