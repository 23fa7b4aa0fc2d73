import { type AnyVariables, cacheExchange, Client, fetchExchange, mapExchange, stringifyDocument, type TypedDocumentNode } from '@urql/core';
import { createClient as createSocket, type Client as Socket } from 'graphql-ws';

/** The gateway, as one caller: queries through `client`, subscriptions through `subscribe`. */
export interface Gateway {
  client: Client;
  subscribe: Subscribe;
}

interface Listener<Data> {
  next(data: Data): void;
  /** It has ended, for whatever reason; `code` is that of the error, if there was one. */
  end(code: string | null): void;
}

type Subscribe = <Data, Variables extends AnyVariables>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  listener: Listener<Data>,
) => () => void;

/** Return the gateway for a key or token; `onRefused` is called when it accepts it no longer. */
export function clientFor(credential: string, onRefused: () => void): Gateway {
  const credentials: Record<string, string> = credential ? { authorization: `Bearer ${credential}` } : {};
  const url = new URL('/graphql', location.origin);
  const client = new Client({
    url: url.href,
    preferGetMethod: false,
    requestPolicy: 'cache-and-network',
    fetchOptions: { headers: credentials },
    exchanges: [
      cacheExchange,
      mapExchange({
        onResult(result) {
          const response: Response | undefined = result.error?.response;
          if (response?.status === 401) onRefused();
        },
      }),
      fetchExchange,
    ],
  });
  const socketUrl = new URL(url);
  socketUrl.protocol = url.protocol.replace('http', 'ws');
  const socket = createSocket({
    url: socketUrl.href,
    connectionParams: credentials,
    // Whoever subscribes resumes from a cursor of their own: see `followChanges`.
    retryAttempts: 0,
    keepAlive: 12_000,
  });
  return { client, subscribe: subscribeOver(socket) };
}

function subscribeOver(socket: Socket): Subscribe {
  return (document, variables, listener) =>
    socket.subscribe(
      { query: stringifyDocument(document), variables: variables as Record<string, unknown> },
      {
        next({ data, errors }) {
          if (data) listener.next(data as never);
          else listener.end(codeOf(errors));
        },
        error: (error) => listener.end(codeOf(error)),
        complete: () => listener.end(null),
      },
    );
}

/** Return the code of the first GraphQL error; null if it is another kind of error. */
export function codeOf(error: unknown): string | null {
  const [first] = Array.isArray(error) ? error : [];
  const code = (first as { extensions?: { code?: unknown } } | undefined)?.extensions?.code;
  return typeof code === 'string' ? code : null;
}
