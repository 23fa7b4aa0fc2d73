"""What the quick parser reads is what graphql-core reads, and it leaves every mistake to that."""

from collections.abc import Callable, Sequence
from random import Random

import pytest
from graphql import DocumentNode, GraphQLError, GraphQLSyntaxError, parse

from gateway.errors import LimitExceeded
from gateway.http.pages.examples import examples
from gateway.limits.settings import LimitSettings
from resolvers.execution.document_limits import parsed
from resolvers.execution.quick_parser import quick_parsed
from tests.sizes import size

RUNS = size("DIFFERENTIAL_RUNS", 200, 20_000)
NESTING = 100
NAMES = ("a", "b_2", "on", "query", "fragment", "true", "null", "_", "__typename", "Ab9")
SCALARS = ("0", "-0", "7", "-12", "1.5", "-0.0e+10", "2E-3", '""', '"x # { é 😀"', '"\t\x00"')
UNUSUAL = (
    *('"""block"""', '""""""', r'"\u0041"', r'"\n"', '"unfinished', '""""', '"\n"', '"\ud800"'),
    *("..", ".", "....", "00", "01", "1.", ".5", "1e", "1e+", "0x1", "-", "1a", "--1", "1.5.2"),
    *("&", "|", "?", "é", "😀", "\ud83d\ude00", "\udc00", "'", "\x00", "\f", "\x0b", "\xa0", "\\"),
    *("$", "$$", "@", "=", "!", ":", "(", ")", "[", "]", "{", "}", "...", "{}", "()", "[]"),
    *("on", "fragment", "query", "type A { a: B }", "extend", "subscription", "mutation"),
    *("# a comment \ud800", "#", '"a description"', "$a: B", "9" * 400, "a" * 400),
)
IGNORED = (
    " ",
    " ",
    " ",
    "\n",
    "\r\n",
    "\r",
    "\t",
    ",",
    ", ,",
    "\ufeff",
    "# {é\"'\n",
    "#\r",
    "#\n#\n",
)


class _Writer:
    """Writes documents as lists of tokens."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.tokens: list[str] = []

    def _write(self, *tokens: str) -> None:
        self.tokens += tokens

    def _name(self, *but: str) -> None:
        self._write(self._random.choice([each for each in NAMES if each not in but]))

    def _maybe(self, write: Callable[[], object], likely: float = 0.3) -> None:
        if self._random.random() < likely:
            write()

    def _some(self, write: Callable[[], object], least: int = 1) -> None:
        for _ in range(self._random.randint(least, 3)):
            write()

    def document(self) -> list[str]:
        """Return the tokens of a document."""
        self._some(self._random.choice([self._operation, self._definition]))
        return self.tokens

    def _definition(self) -> None:
        self._random.choice([self._operation, self._operation, self._fragment])()

    def _operation(self) -> None:
        if self._random.random() < 0.7:
            self._write(self._random.choice(["query", "mutation", "subscription"]))
            self._maybe(self._name, 0.7)
            self._maybe(self._variables)
            self._directives(is_const=False)
        self._selection_set(3)

    def _fragment(self) -> None:
        self._write("fragment")
        self._name("on")
        self._write("on")
        self._name()
        self._directives(is_const=False)
        self._selection_set(2)

    def _variables(self) -> None:
        self._write("(")
        self._some(self._variable)
        self._write(")")

    def _variable(self) -> None:
        self._write("$")
        self._name()
        self._write(":")
        self._type(2)
        self._maybe(self._default)
        self._directives(is_const=True)

    def _default(self) -> None:
        self._write("=")
        self._value(2, is_const=True)

    def _type(self, depth: int) -> None:
        if depth and self._random.random() < 0.3:
            self._write("[")
            self._type(depth - 1)
            self._write("]")
        else:
            self._name()
        self._maybe(lambda: self._write("!"))

    def _selection_set(self, depth: int) -> None:
        self._write("{")
        self._some(lambda: self._selection(depth))
        self._write("}")

    def _selection(self, depth: int) -> None:
        kind = self._random.random()
        if kind < 0.1:
            self._write("...")
            self._name("on")
            self._directives(is_const=False)
        elif kind < 0.25 and depth:
            self._write("...")
            self._maybe(self._condition, 0.7)
            self._directives(is_const=False)
            self._selection_set(depth - 1)
        else:
            self._maybe(self._alias)
            self._name()
            self._maybe(lambda: self._arguments(is_const=False))
            self._directives(is_const=False)
            if depth:
                self._maybe(lambda: self._selection_set(depth - 1))

    def _condition(self) -> None:
        self._write("on")
        self._name()

    def _alias(self) -> None:
        self._name()
        self._write(":")

    def _directives(self, *, is_const: bool) -> None:
        self._maybe(lambda: self._some(lambda: self._directive(is_const=is_const)), 0.15)

    def _directive(self, *, is_const: bool) -> None:
        self._write("@")
        self._name()
        self._maybe(lambda: self._arguments(is_const=is_const))

    def _arguments(self, *, is_const: bool) -> None:
        self._write("(")
        self._some(lambda: self._named_value(2, is_const=is_const))
        self._write(")")

    def _named_value(self, depth: int, *, is_const: bool) -> None:
        self._name()
        self._write(":")
        self._value(depth, is_const=is_const)

    def _value(self, depth: int, *, is_const: bool) -> None:
        kind = self._random.random()
        if kind < 0.15 and not is_const:
            self._write("$")
            self._name()
        elif kind < 0.3 and depth:
            self._write("[")
            self._some(lambda: self._value(depth - 1, is_const=is_const), 0)
            self._write("]")
        elif kind < 0.45 and depth:
            self._write("{")
            self._some(lambda: self._named_value(depth - 1, is_const=is_const), 0)
            self._write("}")
        elif kind < 0.6:
            self._name()
        else:
            self._write(self._random.choice(SCALARS))


def joined(random: Random, tokens: Sequence[str]) -> str:
    """Return a text: between words, numbers and strings there is something, elsewhere maybe."""
    text = random.choice(["", *IGNORED])
    for token in tokens:
        is_apart = (
            text and (text[-1].isalnum() or text[-1] in '_"') and token[0] not in "!():=@[]{}$"
        )
        count = random.choice([1, 1, 2]) if is_apart else random.choice([0, 0, 1])
        text += "".join(random.choice(IGNORED) for _ in range(count)) + token
    return text + random.choice(["", *IGNORED])


def changed(random: Random, tokens: Sequence[str]) -> list[str]:
    """Return the tokens with one deleted, doubled, moved or replaced."""
    result = [*tokens]
    at = random.randrange(len(result))
    kind = random.random()
    if kind < 0.25:
        del result[at]
    elif kind < 0.4:
        result.insert(at, random.choice(result))
    else:
        result[at : at + random.choice([0, 1])] = [random.choice(UNUSUAL)]
    return result


def expected(text: str, limits: LimitSettings) -> DocumentNode | GraphQLError | LimitExceeded:
    """Return what graphql-core reads, or its error."""
    try:
        return parsed(text, limits, quickly=False)
    except (GraphQLError, LimitExceeded) as error:
        return error


def is_read(text: str) -> bool:
    """Return whether the quick parser reads a document; it must be as graphql-core reads it."""
    document = quick_parsed(text, NESTING)
    if document is None:
        return False
    assert document == expected(text, LimitSettings(nesting=NESTING)), text
    return True


def test_generated_documents() -> None:
    """All are read, with the same nodes and locations."""
    for seed in range(RUNS):
        random = Random(seed)  # noqa: S311  # it must be the same each time
        text = joined(random, _Writer(random).document())
        assert is_read(text), text


def test_broken_documents() -> None:
    """What graphql-core refuses is never read, and its error is the one that is reported."""
    read = refused = 0
    for seed in range(RUNS * 10):
        random = Random(seed)  # noqa: S311  # likewise
        tokens = _Writer(random).document()
        for _ in range(random.choice([1, 1, 2])):
            tokens = changed(random, tokens) or ["{"]
        text = joined(random, tokens)
        if seed % 2:
            at = random.randrange(len(text) + 1)
            text = text[:at] + random.choice(["", *'{}()[]:$@!="\\.-1eaé\n']) + text[at + 1 :]
        read += is_read(text)
        if seed % 10 == 0:
            limits = LimitSettings()
            error = expected(text, limits)
            if isinstance(error, GraphQLError):
                refused += 1
                with pytest.raises(GraphQLSyntaxError) as caught:
                    parsed(text, limits)
                assert (caught.value, caught.value.positions) == (error, error.positions)
    assert read > RUNS // 2
    assert refused > RUNS // 4


@pytest.mark.parametrize("text", [each["query"] for each in examples()])
def test_examples(text: str) -> None:
    """The documents that GraphiQL offers are read."""
    assert is_read(text)


@pytest.mark.parametrize("odd", UNUSUAL)
@pytest.mark.parametrize(
    "template", ["%s { a }", "{ a %s }", "{ a(b: %s) }", "query A(%s) { a }", "{ a } %s", "%s"]
)
def test_unusual_tokens_anywhere(template: str, odd: str) -> None:
    """Read as graphql-core reads them, or not at all."""
    is_read(template % odd)


def test_locations_have_their_text() -> None:
    """Errors show where they are, also without tokens."""
    document = parsed("{\n  a(b: 1)\n}", LimitSettings())
    assert document.to_dict(locations=True) == parse("{\n  a(b: 1)\n}").to_dict(locations=True)
    error = GraphQLError("", document.definitions[0].selection_set.selections[0])  # type: ignore[attr-defined]  # an operation
    assert error.source is not None
    assert (error.source.body, error.locations) == ("{\n  a(b: 1)\n}", [(2, 3)])


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "text",
    [
        "{ a { b { c } } }",
        "{ a(b: [[1]]) }",
        "{ a(b: {c: {d: 1}}) }",
        "query ($a: [[A]] = [[1]]) { a }",
        "query @a(b: [1]) { a @a(b: [[1]]) { b } }",
        "{ ... @a(b: []) { ... { ...A @a(b: [{}]) } } }",
        "fragment A on B { c { d(e: 1) } }",
    ],
)
def test_nesting(text: str, limit: int) -> None:
    """The limit is that of graphql-core's parser, for brackets of each kind."""
    limits = LimitSettings(nesting=limit)
    document = expected(text, limits)
    assert quick_parsed(text, limit) == (None if isinstance(document, LimitExceeded) else document)


@pytest.mark.parametrize("limit", [10, 20, 30])
def test_tokens(limit: int) -> None:
    """A document with so many is read, one with more is refused."""
    limits = LimitSettings(tokens=limit)
    text = "{ " + "a " * (limit - 2) + "}"
    assert parsed(text, limits) == expected(text, limits)
    with pytest.raises(LimitExceeded, match=rf"^tokens is {limit + 1} or more; at most {limit} "):
        parsed(f"{text}}}", limits)
    text = '{ a(b: "1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2") } # 1 2 3 4 5 6 7 8 9'
    assert parsed(text, limits) == parse(text)
