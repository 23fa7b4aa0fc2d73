import { type Cells, csvRecords, CsvError } from './csvRecords';

/** A row of a file; cells without a value are left out. */
export interface Row {
  /** Its line: the first line of the file is 1. */
  readonly number: number;
  readonly values: ReadonlyMap<string, unknown>;
  /** Why it cannot be used. */
  readonly problem?: string;
}

/** What columns of the file are, where that is not their own name; the empty name leaves a column out. */
export type Renaming = ReadonlyMap<string, string>;

/** The file cannot be imported; the message says why, and where. */
export class UnreadableFile extends Error {}

/** Yield the rows in order, as `gateway import` reads them. Throws `UnreadableFile`. */
export async function* rowsOf(file: File, renaming: Renaming): AsyncGenerator<Row> {
  try {
    yield* (await isJson(file)) ? jsonRows(file, renaming) : csvRows(file, renaming);
  } catch (error) {
    if (error instanceof TypeError || error instanceof DOMException) throw new UnreadableFile(`${file.name} is not UTF-8, or cannot be read.`);
    throw error;
  }
}

/** Return the columns of a file in order, each with some of its values. Throws `UnreadableFile`. */
export async function columnsOf(file: File): Promise<ReadonlyMap<string, readonly unknown[]>> {
  const columns = new Map<string, unknown[]>();
  if (!(await isJson(file))) {
    for await (const { cells } of csvRecords(linesOf(file))) {
      cells.forEach((name) => columns.set(name.trim(), []));
      break;
    }
  }
  let count = 0;
  for await (const { values } of rowsOf(file, new Map())) {
    for (const [name, value] of values) {
      const samples = columns.get(name) ?? [];
      if (samples.length < SAMPLES && !samples.includes(value)) samples.push(value);
      columns.set(name, samples);
    }
    if (++count === PREVIEWED) break;
  }
  return columns;
}

// As spreadsheets write in many languages.
const SEPARATORS = [[';', 'semicolons'], ['\t', 'tabs']] as const;
const SAMPLES = 3;
const PREVIEWED = 100;

/** Whether a file is NDJSON: what begins with a brace is. */
async function isJson(file: File): Promise<boolean> {
  const beginning = new TextDecoder().decode(await file.slice(0, 4096).arrayBuffer());
  return beginning.trimStart().startsWith('{');
}

async function* csvRows(file: File, renaming: Renaming): AsyncGenerator<Row> {
  let names: Cells | null = null;
  try {
    for await (const { number, cells } of csvRecords(linesOf(file))) {
      if (names === null) {
        const separator = cells.length === 1 && SEPARATORS.find(([character]) => cells[0]?.includes(character));
        if (separator) throw new UnreadableFile(`${file.name} separates cells by ${separator[1]}, not commas.`);
        names = cells.map((name) => renaming.get(name.trim()) ?? name.trim());
        const twice = names.find((name, index) => name && names?.indexOf(name) !== index);
        if (twice) throw new UnreadableFile(`${file.name} has the column ${twice} twice.`);
        continue;
      }
      if (!cells.length) continue;
      const values = new Map<string, unknown>();
      names.forEach((name, index) => name && cells[index] && values.set(name, cells[index]));
      const problem = cells.length === names.length ? {} : { problem: `has ${cells.length} cells; the header has ${names.length}` };
      yield { number, values, ...problem };
    }
  } catch (error) {
    if (error instanceof CsvError) throw new UnreadableFile(error.message);
    throw error;
  }
  if (names === null) throw new UnreadableFile(`${file.name} is empty; its first line names the columns.`);
}

async function* jsonRows(file: File, renaming: Renaming): AsyncGenerator<Row> {
  let number = 0;
  for await (const line of linesOf(file)) {
    number += 1;
    if (!line.trim()) continue;
    let row: unknown = null;
    let problem = 'is not a JSON object';
    try {
      row = parseJson(line);
    } catch (error) {
      if (error instanceof RoundedNumber) problem = error.message;
    }
    if (row === null || typeof row !== 'object' || Array.isArray(row)) {
      yield { number, values: new Map(), problem };
      continue;
    }
    const named = Object.entries(row).map(([name, value]) => [renaming.get(name) ?? name, value] as const);
    yield { number, values: new Map(named.filter(([name, value]) => name && value !== null)) };
  }
}

/** A number of a file that JavaScript would change. */
export class RoundedNumber extends Error {
  constructor() {
    super('has a number that browsers round: import it by the command gateway import');
  }
}

/** Return the value of a JSON text. Throws `RoundedNumber`, and other errors for what is not JSON. */
export function parseJson(text: string): unknown {
  return JSON.parse(text, (_, value: unknown) => {
    if (value === Infinity || value === -Infinity) throw new SyntaxError('too large');
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) throw new RoundedNumber();
    return value;
  });
}

// A \r at the end of what was read may be half of a \r\n.
const LINES = /[^\r\n]*(?:\r?\n|\r(?=[^]))/g;

/** Yield the lines of a file, each with what ends it, a block of the file at a time. */
async function* linesOf(file: File): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const blocks = file.stream().getReader();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await blocks.read();
      rest += decoder.decode(value, { stream: !done });
      let length = 0;
      for (const [line] of rest.matchAll(LINES)) {
        length += line.length;
        yield line;
      }
      rest = rest.slice(length);
      if (done) break;
    }
    if (rest) yield rest;
  } finally {
    void blocks.cancel();
  }
}
