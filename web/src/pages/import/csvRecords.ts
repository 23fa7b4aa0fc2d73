export type Cells = readonly string[];

/** The text is not CSV; the message says in which line. */
export class CsvError extends Error {}

/**
 * Yield the records of a CSV text (RFC 4180), each with the number of its last line.
 *
 * It reads as Python's `csv` does in strict mode, so that the page and `gateway import` see the same rows: an empty line is a
 * record without cells, and a quote within an unquoted cell is a character like any other.
 */
export async function* csvRecords(lines: AsyncIterable<string>): AsyncGenerator<{ number: number; cells: Cells }> {
  let number = 0;
  let cells: string[] = [];
  let cell = '';
  let state: 'begin' | 'plain' | 'quoted' | 'closed' = 'begin';
  for await (const line of lines) {
    number += 1;
    for (const character of line) {
      if (state === 'quoted') {
        if (character === '"') state = 'closed';
        else cell += character;
      } else if (character === '\r' || character === '\n') {
        break;
      } else if (character === ',') {
        cells.push(cell);
        cell = '';
        state = 'begin';
      } else if (character === '"' && state === 'begin') {
        state = 'quoted';
      } else if (character === '"' && state === 'closed') {
        cell += character;
        state = 'quoted';
      } else if (state === 'closed') {
        throw new CsvError(`Line ${number} is not CSV: a comma is expected after a closing quote.`);
      } else {
        cell += character;
        state = 'plain';
      }
    }
    if (state === 'quoted') continue;
    if (state !== 'begin' || cells.length) cells.push(cell);
    yield { number, cells };
    cells = [];
    cell = '';
    state = 'begin';
  }
  if (state === 'quoted') throw new CsvError(`Line ${number} is not CSV: a quoted cell does not end.`);
}
