import type { SegmentQuery } from '../generated';
import { Json } from './Raw';

type SegmentRule = NonNullable<NonNullable<SegmentQuery['segment']>['rule']>;

const OPERATORS: Record<string, string> = {
  $is: 'is',
  $is_not: 'is not',
  $in: 'is one of',
  $not_in: 'is none of',
  $contains: 'contains',
  $not_contain: 'does not contain',
  $starts_with: 'starts with',
  $ends_with: 'ends with',
  $more_than: 'is more than',
  $less_than: 'is less than',
  $more_than_equal: 'is at least',
  $less_than_equal: 'is at most',
  $has_value: 'has a value',
  $is_unknown: 'is unknown',
  $after: 'is after',
  $before: 'is before',
  eq: 'is',
  neq: 'is not',
  gt: 'is more than',
  gte: 'is at least',
  lt: 'is less than',
  lte: 'is at most',
  in: 'is one of',
  not_in: 'is none of',
};

/** How the conditions are joined, where the provider says it once for all. */
function junctionOf({ native, conditions }: SegmentRule): string {
  const junction = (native as { junction?: unknown } | null)?.junction;
  if (conditions.length < 2 || typeof junction !== 'string') return '';
  return junction === 'or' ? 'Any of these is true:' : 'All of these are true:';
}

/** A rule in words, one condition a line, and as the provider has it. */
export function Rule({ rule }: { rule: SegmentRule }) {
  return (
    <section aria-labelledby="rule">
      <h2 id="rule">Rule</h2>
      {junctionOf(rule) && <p>{junctionOf(rule)}</p>}
      <ul className="rule">
        {rule.conditions.map((condition) => (
          <li key={condition.path + condition.operator}>
            <ConditionInWords {...condition} />
          </li>
        ))}
      </ul>
      <details>
        <summary>As JSON</summary>
        <Json value={rule.native} label="The rule as JSON" />
      </details>
    </section>
  );
}

/** For example: metadata.tier is “Gold”. */
export function ConditionInWords({ field, operator, values }: SegmentRule['conditions'][number]) {
  return (
    <>
      <strong>{field}</strong> {OPERATORS[operator] ?? operator.replace(/^\$/, '').replaceAll('_', ' ')} {values.map(shown).join(' or ')}
    </>
  );
}

export function shown(value: unknown): string {
  return typeof value === 'string' ? `“${value}”` : JSON.stringify(value);
}
