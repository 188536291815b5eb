/** The Python clients: one process for each, since the imports are slow. */
import { join } from "node:path";
import { createProcessClient, type ProcessClient } from "./process-client.ts";

/** @param script in `python/`. */
function createPythonClient(name: string, script: string, python: string): ProcessClient {
  return createProcessClient(name, python, ["-X", "utf8", join(import.meta.dirname, "python", script)]);
}

export function createPythonClients(python: string): readonly ProcessClient[] {
  return [
    createPythonClient("openai (Python)", "openai_sdk.py", python),
    createPythonClient("langchain-openai", "langchain_sdk.py", python),
    createPythonClient("requests", "requests_raw.py", python),
    createPythonClient("requests, copied loop", "requests_loop.py", python),
    createPythonClient("httpx", "httpx_raw.py", python),
    createPythonClient("httpx, copied loop", "httpx_loop.py", python),
  ];
}
