import { expect, it } from "vitest";
import { Failure } from "../core/failure.ts";
import { explainRefusal } from "./explain-refusal.ts";

const ours = { upstream: "main", hasOwnKey: true, clientHasKey: false, dialect: "openai-chat" };
const theirs = { ...ours, hasOwnKey: false, clientHasKey: true };
const status = (status: number, scope: Failure["scope"] = "elsewhere"): Failure =>
  new Failure("upstream_status", "x", { status, scope });

it.each([
  ["our key", status(401), ours, "the apiKey of upstream main is refused (401)"],
  ["the client's key", status(401, "never"), theirs, "the client's own key for upstream main is refused (401)"],
  ["no key at all", status(401, "never"), { ...theirs, clientHasKey: false }, "the client sent none"],
  ["our empty account", status(402), ours, "the account of the apiKey of upstream main is empty"],
  ["the client's empty account", status(402), theirs, "the account of the client's own key"],
  ["a quota that is told as a rate limit", status(429), ours, "quota used up (429)"],
  ["the same inside a stream", new Failure("upstream_error_event", "x", { status: 402, scope: "elsewhere" }), ours, "(402)"],
  ["an empty answer of Chatchat's", new Failure("empty_stream", "x"), { ...theirs, dialect: "chatchat" }, "prompt_name"],
  ["Chatchat's 500", status(500, "again"), { ...theirs, dialect: "chatchat-completions" }, "does not know the model"],
])("says of %s whose it is and what to do", (_what, failure, refused, says) => {
  expect(explainRefusal(failure, refused)).toContain(says);
});

it.each([
  ["a rate limit of the minute", status(429, "again"), ours],
  ["an empty answer elsewhere", new Failure("empty_stream", "x"), ours],
  ["a model that is not there", status(404), ours],
  ["a 500 elsewhere", status(500, "again"), ours],
])("has nothing to say of %s", (_what, failure, refused) => {
  expect(explainRefusal(failure, refused)).toBeUndefined();
});
