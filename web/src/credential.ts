/** Return the key or token in a pasted text, which may be the whole header. */
export function credentialOf(pasted: string): string {
  return pasted.trim().replace(/^(authorization:\s*)?(bearer\s+)?/i, '');
}

/** Return what people know a key or token by, without its secret: the subject of a token, or the start of a key's id. */
export function holderOf(credential: string): string {
  return subjectIn(credential) ?? `${credential.slice(0, 12)}…`;
}

/** Return the subject that a token (RFC 7519) names; undefined if this is none. */
function subjectIn(token: string): string | undefined {
  const claims = token.split('.')[1] ?? '';
  try {
    const bytes = Uint8Array.from(atob(claims.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));
    return (JSON.parse(new TextDecoder().decode(bytes)) as { sub?: string }).sub;
  } catch {
    return undefined;
  }
}
