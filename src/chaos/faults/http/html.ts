/** A 200 with a web page: a login portal or a load balancer answered in place of the model. */
import type { Fault } from "../../fault.ts";
import { reply } from "../../script.ts";

const PAGE = "<!doctype html>\n<html><head><title>Sign in</title></head><body><h1>Sign in to continue</h1></body></html>\n";

const answer = () => reply(200, "text/html; charset=utf-8", PAGE);

export const html: Fault = {
  name: "html",
  summary: "HTTP 200 with an HTML page",
  stream: answer,
  answer,
};
