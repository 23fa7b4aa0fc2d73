import { tryParseJSONC } from '@graphiql/react';
import { createGraphiQLFetcher, type Fetcher } from '@graphiql/toolkit';

// The page lives at its endpoint. Subscriptions go to the same path over a WebSocket.
const endpoint = new URL(location.pathname, location.origin);
const socket = new URL(endpoint);
socket.protocol = endpoint.protocol.replace('http', 'ws');

/**
 * Make what sends GraphiQL's requests, with a key or token unless a tab's own headers hold one.
 * `answered` is told of each answer whether the gateway knew who asked.
 */
export function fetcherFor(credential: string, answered: (isKnown: boolean) => void): Fetcher {
  return createGraphiQLFetcher({
    url: endpoint.href,
    subscriptionUrl: socket.href,
    enableIncrementalDelivery: false,
    async fetch(url, request) {
      const headers = new Headers(request?.headers);
      if (credential && !headers.has('authorization')) headers.set('authorization', `Bearer ${credential}`);
      const reply = await fetch(url, { ...request, headers });
      answered(reply.status !== 401);
      return reply;
    },
  });
}

/** Return the key or token of what a person pasted, which may be the whole header. */
export function credentialOf(pasted: string): string {
  return pasted.trim().replace(/^(authorization:\s*)?(bearer\s+)?/i, '');
}

/** Return the credentials in the text of a headers editor; none while it is being written. */
export function authorizationIn(text: string): string {
  try {
    return new Headers(tryParseJSONC(text) as Record<string, string>).get('authorization') ?? '';
  } catch {
    return '';
  }
}
