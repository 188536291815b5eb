/** Limits that several processes count together: what a limiter wants of the store that they share. */
import type { RateOwner } from "../../core/observer.ts";
import type { Taken } from "./budget.ts";
import type { LimitKind } from "./rate-policy.ts";

/** So much of one limit. */
export interface SharedCharge extends RateOwner {
  readonly what: LimitKind;
  /** Undefined for what holds for all models together. */
  readonly model: string | undefined;
  readonly limit: number;
  /** In milliseconds; undefined for what runs at the same time. */
  readonly perMs: number | undefined;
  readonly amount: number;
}

/** All of it was taken; or none of it, and of each how long that takes yet, in milliseconds: infinity where another's end must tell. */
export type SharedAnswer = { readonly taken: readonly Taken[] } | { readonly waitsMs: readonly number[] };

export interface SharedRates {
  /** While it cannot be reached each process counts by itself. */
  readonly isUp: boolean;
  /** What is asked first is answered first. Never rejects. @returns undefined where it could not be asked. */
  take(charges: readonly SharedCharge[]): Promise<SharedAnswer | undefined>;
}
