/** What both Chatchats serve beside their conversations: pages, lists, uploads; and how they refuse. */
import type { Endpoint } from "../personality.ts";
import { jsonReply, type Step } from "../script.ts";
import { DOCS_PAGES } from "./starlette.ts";

export const chatchatPages: Readonly<Record<string, Endpoint>> = {
  ...DOCS_PAGES,
  "GET /knowledge_base/list_knowledge_bases": { answer: () => baseResponse(200, "success", ["samples"]) },
  "POST /knowledge_base/upload_docs": {
    takesAnyBody: true,
    answer: () => undefined,
    // The size is not the server's, but tells a test that every byte has arrived.
    quirk:
      ({ bodyBytes }) =>
      () =>
        jsonReply(200, baseResponse(200, "文件上传与向量化完成", { failed_files: {}, size: bodyBytes })),
  },
};

/** `BaseResponse`: the HTTP status is 200 whatever its code says. */
export function baseResponse(code: number, msg: string, data: unknown = null): unknown {
  return { code, msg, data };
}

/** Whatever is called `nope` does not exist. */
export function refuseUnknown(name: unknown, message: (name: string) => string): (() => Iterable<Step>) | undefined {
  return name === "nope" ? () => jsonReply(200, baseResponse(404, message(name))) : undefined;
}
