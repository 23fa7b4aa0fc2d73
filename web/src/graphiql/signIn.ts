import { tryParseJSONC } from '@graphiql/react';
import { createGraphiQLFetcher, type Fetcher } from '@graphiql/toolkit';
import type { ExecutionResult } from 'graphql';
import { withoutCalls } from './calls';

// The page lives at its endpoint. Subscriptions go to the same path over a WebSocket.
const endpoint = new URL(location.pathname, location.origin);
const socket = new URL(endpoint);
socket.protocol = endpoint.protocol.replace('http', 'ws');

/**
 * Return a fetcher that adds the key or token, unless the tab's own headers contain one.
 * `onResponse` is called for each response, with whether the gateway accepted the credentials.
 */
export function fetcherFor(credential: string, onResponse: (isKnown: boolean) => void): Fetcher {
  const fetcher = createGraphiQLFetcher({
    url: endpoint.href,
    subscriptionUrl: socket.href,
    // The tab's own headers are added to these, and count more.
    wsConnectionParams: credential ? { authorization: `Bearer ${credential}` } : {},
    enableIncrementalDelivery: false,
    async fetch(url, request) {
      const headers = new Headers(request?.headers);
      if (!headers.has('x-show-calls')) headers.set('x-show-calls', '1');
      if (credential && !headers.has('authorization')) headers.set('authorization', `Bearer ${credential}`);
      const reply = await fetch(url, { ...request, headers });
      onResponse(reply.status !== 401);
      return reply;
    },
  });
  return async (parameters, options) => {
    const response = await fetcher(parameters, options);
    return isResult(response) ? withoutCalls(response) : response;
  };
}

/** Whether it is a single response, not a stream of them. */
function isResult(response: object): response is ExecutionResult {
  return !(Symbol.asyncIterator in response) && !('subscribe' in response);
}

/** Return the credentials in the text of a headers editor; empty while it is incomplete. */
export function authorizationIn(text: string): string {
  try {
    return new Headers(tryParseJSONC(text) as Record<string, string>).get('authorization') ?? '';
  } catch {
    return '';
  }
}
