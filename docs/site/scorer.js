// How results of the search are ordered: Sphinx's weights, and what is history or generated comes last.

const LAST = /^(decisions\/|changelog|benchmark|contributing|reference\/schema\/)/;

var Scorer = {
  score: ([page, , , , score]) => (LAST.test(page) ? score - 100 : score),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
