// Writes src/api/types.ts from the document that a server gives of itself.
//
//   node scripts/types.mjs http://127.0.0.1:8080            writes it
//   node scripts/types.mjs http://127.0.0.1:8080 --check    says whether it is current
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const FILE = new URL("../src/api/types.ts", import.meta.url);

/** The types of a document's schemas, as TypeScript. */
export function print(document) {
  const parts = Object.entries(document.components.schemas).map(([name, schema]) => named(name, schema));
  return `// Made by scripts/types.mjs of the server's /v3/openapi.json: not to be edited.\n\n${parts.join("\n")}`;
}

function named(name, schema) {
  const isPlain = schema.type === "object" && schema.properties && !schema.oneOf && !schema.anyOf && !schema.allOf;
  const head = schema.description ? `/** ${schema.description.replaceAll("\n", " ")} */\n` : "";
  return isPlain
    ? `${head}export interface ${name} ${object(schema, "")}\n`
    : `${head}export type ${name} = ${type(schema, "")};\n`;
}

function object(schema, indent) {
  const required = new Set(schema.required ?? []);
  const inner = `${indent}  `;
  const fields = Object.entries(schema.properties).map(([name, it]) => {
    const key = /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
    const text = it.description ? `${inner}/** ${it.description.replaceAll("\n", " ")} */\n` : "";
    // What has a default is always printed, though a request may leave it out.
    return `${text}${inner}${key}${required.has(name) ? "" : "?"}: ${type(it, inner)};\n`;
  });
  return `{\n${fields.join("")}${indent}}`;
}

function type(schema, indent) {
  const base = bare(schema, indent);
  return schema.nullable && base !== "unknown" ? `${base} | null` : base;
}

function bare(schema, indent) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.map((it) => JSON.stringify(it)).join(" | ");
  if (schema.allOf) return schema.allOf.map((it) => type(it, indent)).join(" & ");
  const choice = schema.oneOf ?? schema.anyOf;
  if (choice) {
    const either = choice.map((it) => type(it, indent)).join(" | ");
    return schema.properties ? `${object(schema, indent)} & (${either})` : either;
  }
  switch (schema.type) {
    case "array": {
      const item = type(schema.items ?? {}, indent);
      return /[|&]/.test(item) && !item.startsWith("{") ? `(${item})[]` : `${item}[]`;
    }
    case "object":
      if (schema.properties && Object.keys(schema.properties).length > 0) return object(schema, indent);
      return typeof schema.additionalProperties === "object"
        ? `Record<string, ${type(schema.additionalProperties, indent)}>`
        : "Record<string, unknown>";
    case "integer":
    case "number":
      return "number";
    case "string":
      return "string";
    case "boolean":
      return "boolean";
    default:
      return "unknown";
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [server = "http://127.0.0.1:8080", check] = process.argv.slice(2);
  const answer = await fetch(`${server}/v3/openapi.json`);
  const text = print(await answer.json());
  if (check !== "--check") {
    writeFileSync(FILE, text);
  } else if (readFileSync(FILE, "utf8") !== text) {
    console.error(`ui: src/api/types.ts is not what the server says of itself: npm run types -- ${server}`);
    process.exit(1);
  }
}
