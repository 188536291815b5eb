/** The key: its shape, whether it is refused, and whether its account has anything left. */
import type { Failure } from "../../core/failure.ts";
import { isObject, parseObject } from "../../dialect/json.ts";
import type { Facts, Fetched } from "../facts.ts";
import { type Finding, fault, note, ok } from "../finding.ts";

export function checkKey(facts: Facts): Finding[] {
  return [...checkShape(facts), ...checkRefusal(facts), ...checkBalance(facts)];
}

function checkShape({ upstream }: Facts): Finding[] {
  if (upstream.keyProblem === undefined) return [];
  return [note("keyShape", `the key ${upstream.keyProblem}`, "check apiKey, or PERENNIAL_API_KEY")];
}

function checkRefusal({ upstream, models, streamed, unstreamed }: Facts): Finding[] {
  const statuses = [streamed?.failure?.status, unstreamed?.failure?.status, streamed === undefined ? models?.status : undefined];
  const refused = statuses.find((status) => status === 401 || status === 403);
  if (refused !== undefined) {
    if (!upstream.hasKey) {
      return [fault("key", `it wants a key, and has got none (${refused})`, "set PERENNIAL_API_KEY, or the upstream's apiKey")];
    }
    const advice = refused === 401 ? "check apiKey, keyHeader and baseUrl" : "the key may not use this model, or this place";
    return [fault("key", `the key is refused (${refused})`, advice)];
  }
  const empty = [streamed?.failure, unstreamed?.failure].find(isEmptyAccount);
  if (empty !== undefined) return [fault("key", "the account of the key is empty", "top it up at the provider")];
  if (streamed?.recording.status !== 200 && models?.status !== 200) return [];
  return [ok("key", upstream.hasKey ? "the key is taken" : "no key is needed, or each client brings its own")];
}

function isEmptyAccount(failure: Failure | undefined): boolean {
  if (failure === undefined) return false;
  return failure.status === 402 || (failure.status === 429 && failure.scope === "elsewhere");
}

function checkBalance({ balance }: Facts): Finding[] {
  const left = balanceOf(balance);
  if (left === undefined) return [];
  if (left > 0) return [ok("balance", `the account has ${left} left`)];
  return [fault("balance", `the account is empty (${left})`, "top it up at the provider")];
}

/** In whatever currency; undefined where the answer does not say. */
export function balanceOf(fetched: Fetched | undefined): number | undefined {
  const json = fetched?.status === 200 ? parseObject(fetched.body) : undefined;
  if (json === undefined) return undefined;
  const [first] = Array.isArray(json.balance_infos) ? json.balance_infos : [];
  const places = [json, json.data, first].filter(isObject);
  for (const { balance, available_balance, total_balance, totalBalance, total_credits, total_usage } of places) {
    if (typeof total_credits === "number" && typeof total_usage === "number") return total_credits - total_usage;
    for (const said of [available_balance, total_balance, totalBalance, balance]) {
      const number = typeof said === "string" && said.trim() !== "" ? Number(said) : said;
      if (typeof number === "number" && Number.isFinite(number)) return number;
    }
  }
  return undefined;
}
