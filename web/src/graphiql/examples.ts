/** An example operation, as it runs over the sandbox; see `tailoring.ts`. */
export interface Example {
  name: string;
  query: string;
  variables: Record<string, unknown> | null;
  headers: Record<string, string> | null;
}

const FALLBACK: Example = {
  name: 'Providers',
  query: '{ providers { key kind displayName } }',
  variables: null,
  headers: null,
};

/** Load the gateway's examples; if there are none, return a query that works with every configuration. */
export async function loadExamples(): Promise<[Example, ...Example[]]> {
  try {
    const reply = await fetch('/examples.json');
    const [first, ...others] = (await reply.json()) as Example[];
    return first ? [first, ...others] : [FALLBACK];
  } catch {
    return [FALLBACK];
  }
}

/** Return an example as the text of GraphiQL's three editors; null is an empty editor. */
export function asTab({ query, variables, headers }: Example) {
  return { query, variables: asText(variables), headers: asText(headers) };
}

function asText(values: object | null): string | null {
  return values && JSON.stringify(values, null, 2);
}
