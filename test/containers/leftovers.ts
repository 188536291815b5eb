/** Finds and removes, by id, what a run of the tests has left: normally nothing, but a test that is killed cannot clean up. */
import { spawnSync } from "node:child_process";

/** On every container of the tests; its value is the run. */
export const RUN_LABEL = "perennial.test.run";

/**
 * @param run the beginning of the name of each network and of each compose project, and the value of {@link RUN_LABEL}
 * @returns what was found
 */
export function removeLeftovers(run: string): string[] {
  const labelled = docker("ps", "--all", "--filter", `label=${RUN_LABEL}=${run}`, "--format", "{{.ID}} {{.Names}}");
  const composed = docker("ps", "--all", "--filter", `name=${run}`, "--format", "{{.ID}} {{.Names}}");
  const containers = [...new Set([...labelled, ...composed])];
  for (const container of containers) docker("rm", "--force", "--volumes", idOf(container));
  const networks = docker("network", "ls", "--filter", `name=${run}`, "--format", "{{.ID}} {{.Name}}");
  for (const network of networks) docker("network", "rm", idOf(network));
  return [...containers, ...networks];
}

const idOf = (line: string): string => line.split(" ", 1)[0] ?? "";

/** @returns the lines of its output. */
function docker(...args: string[]): string[] {
  return spawnSync("docker", args, { encoding: "utf8" }).stdout.split("\n").filter(Boolean);
}
