/** A wire case: the bytes of an upstream, what a client asks, and what it must be told. See README.md beside this file. */
import { readdirSync, readFileSync } from "node:fs";
import type { ByAsking, Response } from "../../src/capture/case-file.ts";

export interface Expectation {
  readonly told: string | readonly string[];
  readonly text?: string;
  readonly reasoning?: string;
  readonly toolArguments?: readonly string[];
  readonly finish?: "any";
  readonly code?: string | readonly string[];
  readonly status?: number | readonly number[];
  readonly message?: string;
  readonly requests?: number | { readonly min?: number; readonly max?: number };
  readonly header?: Readonly<Record<string, string | null>>;
  readonly retryAfterAtLeastMs?: number;
  readonly endWithinMs?: number;
  readonly spreadAtLeastMs?: number;
  readonly minBytes?: number;
}

export interface CaseAsk {
  readonly path?: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly pause?: number;
  readonly expect: Expectation;
}

export interface CheckConfig {
  readonly config?: Readonly<Record<string, unknown>>;
  readonly atLeast: Readonly<Record<string, string>>;
}

export interface Case {
  readonly id: string;
  readonly title: string;
  readonly source: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly asks?: readonly CaseAsk[];
  readonly responses?: readonly Response[] | ByAsking;
  readonly keepCount?: boolean;
  readonly checkConfig?: CheckConfig;
}

/** Every case beside this file. */
export function loadCases(): Case[] {
  const folder = new URL(".", import.meta.url);
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .map((name) => JSON.parse(readFileSync(new URL(name, folder), "utf8")) as Case);
}
