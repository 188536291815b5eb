/** The settings as JSON Schema: editors complete and check a configuration file by it, and Perennial looks up in it what stands where. */
import { z } from "zod";
import { configSchema } from "./schema.ts";

type Node = Record<string, unknown>;

let root: z.core.JSONSchema.BaseSchema | undefined;

/** What may stand at `path`: one schema for each alternative, and none where the settings know nothing of it. */
export function schemasAt(path: readonly PropertyKey[]): z.core.JSONSchema.BaseSchema[] {
  type Schema = z.core.JSONSchema.BaseSchema;
  const branches = (schema: Schema | undefined): Schema[] => (schema?.anyOf as Schema[] | undefined) ?? (schema ? [schema] : []);
  root ??= z.toJSONSchema(configSchema, { io: "input" });
  return path.reduce<Schema[]>(
    (schemas, part) =>
      schemas.flatMap(({ items, properties, additionalProperties }) => {
        // A mapping whose names are the user's own, and whose values are mappings of ours.
        const named = isSection(additionalProperties) ? additionalProperties : undefined;
        return branches((typeof part === "number" ? items : (properties?.[String(part)] ?? named)) as Schema | undefined);
      }),
    branches(root),
  );
}

function isSection(schema: unknown): boolean {
  return typeof schema === "object" && schema !== null && "properties" in schema;
}

/** The text of config.schema.json. */
export function printJsonSchema(): string {
  // The draft that editors know best.
  const schema = z.toJSONSchema(configSchema, { io: "input", target: "draft-7" }) as Node;
  return `${JSON.stringify(withVariables(schema), null, 2)}\n`;
}

/** Any value may be, or hold, a `${VARIABLE}` of which only the start of the program knows what it stands for. */
const VARIABLE = String.raw`\$\{`;

function withVariables(node: Node): Node {
  const { properties, items, anyOf, default: preset, ...rest } = node;
  // A section is optional as a whole; its keys tell their own defaults.
  const isSection = typeof preset === "object" && preset !== null && !Array.isArray(preset);
  const walked: Node = {
    ...rest,
    ...(preset === undefined || isSection ? {} : { default: preset }),
    ...(properties === undefined ? {} : { properties: mapValues(properties as Record<string, Node>, withVariables) }),
    ...(items === undefined ? {} : { items: withVariables(items as Node) }),
    ...(anyOf === undefined ? {} : { anyOf: (anyOf as Node[]).map(withVariables) }),
  };
  if (typeof walked.pattern === "string") return { ...walked, pattern: `${walked.pattern}|${VARIABLE}` };
  const isScalar = ["integer", "number", "boolean"].includes(String(walked.type)) || "enum" in walked;
  if (!isScalar || "const" in walked) return walked;
  const { title, description, default: value, ...exact } = walked;
  return JSON.parse(
    JSON.stringify({ title, description, default: value, anyOf: [exact, { type: "string", pattern: VARIABLE }] }),
  ) as Node;
}

function mapValues(nodes: Record<string, Node>, change: (node: Node) => Node): Record<string, Node> {
  return Object.fromEntries(Object.entries(nodes).map(([key, node]) => [key, change(node)]));
}
