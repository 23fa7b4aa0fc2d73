/** Return the key or token in a pasted text, which may be the whole header. */
export function credentialOf(pasted: string): string {
  return pasted.trim().replace(/^(authorization:\s*)?(bearer\s+)?/i, '');
}
