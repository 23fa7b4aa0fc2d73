// Write src/gql/: documents and types for src/operations.graphql, by the client preset of GraphQL Code Generator. The command of
// @graphql-codegen/cli writes the same types, and brings five times as many packages.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { preset } from "@graphql-codegen/client-preset";
import { codegen } from "@graphql-codegen/core";
import { buildASTSchema, parse } from "graphql";

const read = (file) => readFile(new URL(file, import.meta.url), "utf-8");
const schema = parse(await read("../../schema.graphql"));
const rawSDL = await read("src/operations.graphql");
const folder = new URL("src/gql/", import.meta.url);

await mkdir(folder, { recursive: true });
const outputs = await preset.buildGeneratesSection({
  baseOutputDir: folder.pathname,
  schema,
  schemaAst: buildASTSchema(schema),
  documents: [{ location: "src/operations.graphql", document: parse(rawSDL), rawSDL }],
  config: { scalars: { DateTime: "string", ID: "string", JSON: "unknown" }, useTypeImports: true },
  presetConfig: { fragmentMasking: false },
  plugins: [],
  pluginMap: {},
});
for (const output of outputs) await writeFile(output.filename, await codegen(output));
