import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import type { Renaming } from './rows';

/** Return what identifies an import, as `gateway import` computes it: the same file, columns, provider and kind. */
export async function digestOf(file: File, renaming: Renaming, provider: string, kind: string): Promise<string> {
  const renamed = [...renaming].filter(([name, target]) => name !== target).sort(([a], [b]) => (a < b ? -1 : 1));
  // Not `crypto.subtle`: it reads a whole file into memory, and needs HTTPS.
  const hash = sha256.create().update(utf8ToBytes(JSON.stringify(renamed)));
  const blocks = file.stream().getReader();
  for (let block = await blocks.read(); !block.done; block = await blocks.read()) hash.update(block.value);
  return hex(`${bytesToHex(hash.digest())} ${provider} ${kind}`).slice(0, 32);
}

function hex(text: string): string {
  return bytesToHex(sha256(utf8ToBytes(text)));
}

/** When an import was started, and whether all of its rows were to be sent again. */
export interface Started {
  at: number;
  isRepetition: boolean;
}

const STORAGE = 'segment-gateway.imports';
/** A little less than a gateway keeps an `idempotencyKey`. */
const KEYS_HOLD_MS = 23.5 * 3_600_000;
const FORGET_MS = 90 * 86_400_000;

/** Return when this browser started an import, if it has. */
export function startOf(digest: string): Started | undefined {
  return stored()[digest];
}

/** Whether the gateway still knows which rows were sent. */
export function areKeysValid({ at }: Started): boolean {
  return Date.now() - at <= KEYS_HOLD_MS;
}

/** Note that an import starts now, unless it goes on; return what its idempotency keys begin with. */
export function runKeyOf(digest: string, isRepetition: boolean): string {
  const all = stored();
  let started = all[digest];
  if (!started || isRepetition) {
    started = { at: Date.now(), isRepetition };
    const recent = Object.entries(all).filter(([, { at }]) => Date.now() - at <= FORGET_MS);
    try {
      localStorage.setItem(STORAGE, JSON.stringify({ ...Object.fromEntries(recent), [digest]: started }));
    } catch {
      // Without storage the page cannot warn of keys that no longer hold.
    }
  }
  const suffix = new Date(started.at).toISOString().slice(0, 19).replace(/[-:]/g, '');
  return started.isRepetition ? `${digest}-${suffix}` : digest;
}

function stored(): Record<string, Started> {
  try {
    return JSON.parse(localStorage.getItem(STORAGE) ?? '{}') as Record<string, Started>;
  } catch {
    return {};
  }
}
