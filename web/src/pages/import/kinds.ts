import type { Client } from '@urql/core';
import type { ImportProvidersQuery } from '../generated';
import { Assignments, Attributes, type Plan, Replacements } from './plans';
import type { Renaming } from './rows';

export type Provider = ImportProvidersQuery['providers'][number];
export type Kind = 'assignments' | 'attributes';

export const KINDS: readonly { kind: Kind; label: string }[] = [
  { kind: 'assignments', label: 'Customers and their segments' },
  { kind: 'attributes', label: 'Customers and their attributes' },
];

/** What a column can be, and whether there must be one. */
export interface Target {
  name: string;
  label: string;
  isRequired: boolean;
}

/** Whether a provider can do what the rows of a kind need. */
export function isSupported({ kind: providerKind, capabilities }: Provider, kind: Kind): boolean {
  const assigning = providerKind === 'instaleap' ? 'ASSIGNMENT_REPLACE' : 'ASSIGNMENT_CREATE';
  const needed = kind === 'attributes' ? 'CUSTOMER_ATTRIBUTES_UPDATE' : assigning;
  return capabilities.some(({ operation, supported }) => operation === needed && supported);
}

export function targetsOf({ kind: providerKind }: Provider, kind: Kind): readonly Target[] {
  const customer = { name: 'customer', label: 'Customer', isRequired: true };
  if (kind === 'attributes') return [customer];
  if (providerKind === 'instaleap') {
    return [customer, { name: 'type', label: 'Type of segment', isRequired: true }, { name: 'value', label: 'Value', isRequired: true }];
  }
  return [
    { name: 'segment', label: 'Segment', isRequired: true },
    customer,
    { name: 'legalEntity', label: 'Legal entity', isRequired: false },
    { name: 'action', label: 'Action (add or remove)', isRequired: false },
  ];
}

export function planOf(client: Client, { key, kind: providerKind }: Provider, kind: Kind): Plan {
  if (kind === 'attributes') return new Attributes(key);
  return providerKind === 'instaleap' ? new Replacements(key) : new Assignments(client, key);
}

/** Guess what columns are from their names: `Customer ID` is the customer. */
export function guessed(columns: Iterable<string>, targets: readonly Target[], kind: Kind): Renaming {
  const taken = new Set<string>();
  const guesses = new Map<string, string>();
  for (const column of columns) {
    const word = column.toLowerCase().replace(/[^a-z]/g, '').replace(/id$/, '');
    const target = targets.find(({ name }) => name.toLowerCase() === word && !taken.has(name));
    if (target) taken.add(target.name);
    guesses.set(column, target?.name ?? (kind === 'attributes' ? column : ''));
  }
  return guesses;
}

/** Guess from the names of columns which provider the rows are for, and what they are. */
export function likely(columns: Iterable<string>, providers: readonly Provider[]): { provider: Provider; kind: Kind } {
  const names = [...columns];
  for (const { kind } of KINDS) {
    for (const provider of providers) {
      const targets = targetsOf(provider, kind);
      if (isSupported(provider, kind) && !problemOf(guessed(names, targets, kind), targets, kind)) return { provider, kind };
    }
  }
  const provider = providers[0]!;
  return { provider, kind: KINDS.find(({ kind }) => isSupported(provider, kind))!.kind };
}

/** Return the renaming that says this of the columns: what is not used needs none, unless its name has a meaning. */
export function renamingOf(chosen: Renaming, targets: readonly Target[], kind: Kind): Renaming {
  const hasMeaning = (column: string) => kind === 'attributes' || targets.some(({ name }) => name === column);
  return new Map([...chosen].filter(([column, target]) => column !== target && (target !== '' || hasMeaning(column))));
}

/** Return what is wrong with the choice of columns; null if nothing is. */
export function problemOf(chosen: Renaming, targets: readonly Target[], kind: Kind): string | null {
  const used = [...chosen.values()].filter(Boolean);
  const missing = targets.find(({ name, isRequired }) => isRequired && !used.includes(name));
  if (missing) return `Choose the column that is the ${missing.label.toLowerCase()}.`;
  const twice = used.find((name, index) => used.indexOf(name) < index);
  if (twice) return `Two columns are ${twice}.`;
  return kind === 'attributes' && used.length < 2 ? 'Choose at least one column that is an attribute.' : null;
}

/** Return the command that does the same, and whose rows count as the same. */
export function commandOf(file: File, { key }: Provider, kind: Kind, renaming: Renaming): string {
  const maps = [...renaming].map(([column, target]) => ` --map ${quoted(`${column}=${target}`)}`).join('');
  return `gateway import ${quoted(file.name)} --provider ${key}${kind === 'attributes' ? ' --kind attributes' : ''}${maps} --url ${location.origin}`;
}

function quoted(text: string): string {
  return /^[\w./=:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
