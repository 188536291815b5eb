/**
 * A sample of mutants as a checker of StrykerJS: the same ones for the same seed, whatever else changes in a file. Those that no test reaches
 * pass without being counted, since they cost nothing: only of the others a sample is run.
 */
import { createHash } from "node:crypto";
import { relative } from "node:path";
import { type Checker, CheckStatus } from "@stryker-mutator/api/check";
import type { Mutant } from "@stryker-mutator/api/core";
import { declareClassPlugin, PluginKind } from "@stryker-mutator/api/plugin";

/** By what a mutant is, and by no line number, which every edit above it moves. */
const orderOf = ({ fileName, mutatorName, replacement, location }: Mutant, seed: string): string =>
  createHash("sha256")
    .update([seed, relative(process.cwd(), fileName), mutatorName, replacement, location.start.column].join("\n"))
    .digest("hex");

class SampleChecker implements Checker {
  async init(): Promise<void> {}

  /** All of them at once: who is in the sample depends on who is there. */
  async group(mutants: Mutant[]): Promise<string[][]> {
    return [mutants.map(({ id }) => id)];
  }

  async check(mutants: Mutant[]): ReturnType<Checker["check"]> {
    const [size, seed] = [Number(process.env.MUTATION_SAMPLE), process.env.MUTATION_SEED ?? ""];
    const reached = mutants.filter(({ coveredBy }) => coveredBy !== undefined && coveredBy.length > 0);
    const left = new Set(
      reached
        .map((mutant) => ({ id: mutant.id, order: orderOf(mutant, seed) }))
        .sort((a, b) => (a.order < b.order ? -1 : 1))
        .slice(size)
        .map(({ id }) => id),
    );
    return Object.fromEntries(
      mutants.map(({ id }) => [
        id,
        left.has(id) ? { status: CheckStatus.CompileError, reason: "not in the sample" } : { status: CheckStatus.Passed },
      ]),
    );
  }
}

export const strykerPlugins = [declareClassPlugin(PluginKind.Checker, "sample", SampleChecker)];
