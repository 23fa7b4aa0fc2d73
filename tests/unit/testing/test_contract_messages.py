"""What the contract says to the author of an adapter when it does not hold."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.entities import Ref
from gateway.domain.pages import Page, complete_page
from gateway.providers.base.exchange import Call, Exchange, Reply
from gateway.providers.base.kind import ProviderKind
from gateway.providers.base.webhooks import ReceivesWebhooks
from gateway.providers.voucherify.adapter import Voucherify
from gateway.testing.contract import AdapterContract
from gateway.testing.samples import Samples
from gateway.testing.webhooks import check_value, webhook_samples
from tests.packages import BIRD

SAMPLE = {
    "source": "README.md",
    "kind": "made",
    "seen": "2026-11-29",
    "given": {"method": "member_count", "args": ["s"]},
    "call": {"method": "GET", "path": "/"},
    "reply": {"status": 200, "body": {"total": 7}},
}


def member_count(_: object, segment: str) -> Exchange[Any]:
    """Read the number of members; the adapter is wrong, because it may be missing."""
    del segment

    def read(reply: Reply) -> Any:
        try:
            return json.loads(reply.body).get("total")
        except (AttributeError, ValueError):
            return None

    return Exchange("members.count", Call("GET", "/"), read)


def contract(folder: Path, expected: Any) -> AdapterContract:
    """Return the contract of a kind that counts members, with one sample."""
    namespace: dict[str, Any] = {}
    exec(BIRD, namespace)  # noqa: S102  # the text of a module of this repository
    bird = type("CountingBird", (namespace["Bird"],), {"member_count": member_count})
    settings = {"key": "b", "kind": "bird", "base_url": "https://b.example", "token": "t-4711"}
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "members.count").mkdir()
    sample = {**SAMPLE, "expect": {"value": expected}}
    (folder / "members.count" / "one.json").write_text(json.dumps(sample), encoding="utf-8")
    (folder / "README.md").write_text("# Bird\n", encoding="utf-8")
    parts = {"kind": ProviderKind(bird), "folder": folder, "readme": folder / "README.md"}
    of_bird: type[AdapterContract] = type("OfBird", (AdapterContract,), parts)
    return of_bird()


def message(raised: pytest.ExceptionInfo[AssertionError]) -> str:
    """Return the message, without the indentation that pytest adds."""
    return "\n".join(line.strip() for line in str(raised.value).splitlines())


def test_the_whole_value_is_shown_as_json(tmp_path: Path) -> None:
    """The text can be copied into the sample."""
    tests = contract(tmp_path, {"rows": [1]})
    (sample,) = tests.samples().all
    with pytest.raises(AssertionError) as raised:
        tests.test_a_sample_gives_its_value_or_error(sample)
    assert message(raised).startswith("The value is:\n7\n")


def test_missing_samples_are_listed(tmp_path: Path) -> None:
    """Each in a line, also if they are many."""
    with pytest.raises(AssertionError) as raised:
        contract(tmp_path, 7).test_every_ability_has_a_success_and_a_failure()
    assert message(raised).startswith(
        "These samples are missing:\n"
        "segments: a sample that succeeds\n"
        "segments: a sample that fails\n"
    )


def test_the_table_of_the_readme_is_shown(tmp_path: Path) -> None:
    """As it must be in the file."""
    with pytest.raises(AssertionError) as raised:
        contract(tmp_path, 7).test_the_readme_says_what_it_can_do()
    table = "| Operation | Bird |\n|---|---|\n| `SEGMENT_LIST` | yes |\n| `SEGMENT_GET` | yes |\n"
    assert message(raised).startswith(f"The README needs this table:\n{table}")


def test_an_incomplete_protocol_fails(tmp_path: Path) -> None:
    """A method without the others of its protocol would be no ability, without an error."""
    with pytest.raises(AssertionError) as raised:
        contract(tmp_path, 7).test_every_protocol_is_complete()
    assert message(raised).startswith("ListsMembers is not supported: there is member_count,")


def test_a_number_that_may_be_missing_fails(tmp_path: Path) -> None:
    """It would be shown as 0."""
    tests = contract(tmp_path, 7)
    (sample,) = tests.samples().all
    with pytest.raises(AssertionError) as raised:
        tests.test_a_reply_with_one_part_missing_or_retyped_is_read_or_malformed(sample)
    assert message(raised).startswith("None was read where the whole body is None\n")


def test_an_error_names_the_altered_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that an adapter lets through says of which reply."""
    tests = contract(tmp_path, 7)
    (sample,) = tests.samples().all

    def reads_blindly(reply: Reply) -> Any:
        document = json.loads(reply.body)
        return document["total"] if isinstance(document, dict) else 7

    exchange = Exchange("members.count", Call("GET", "/"), reads_blindly)
    monkeypatch.setattr(type(sample), "exchange", lambda _: exchange)
    with pytest.raises(KeyError) as missing:
        tests.test_a_reply_with_one_part_missing_or_retyped_is_read_or_malformed(sample)
    assert missing.value.__notes__ == ["Of the sample, the whole body is {}."]


def test_an_id_that_is_made_up_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number is not essential to the decoder, and without it the id would be "None"."""
    tests = contract(tmp_path, {"rows": [{"raw": "#/0"}, {"raw": "#/1"}]})
    (sample,) = tests.samples().all

    def read(reply: Reply) -> Page[Ref]:
        return complete_page(Ref("b", str(row.get("id"))) for row in json.loads(reply.body))

    exchange = Exchange("segments.list", Call("GET", "/"), read)
    monkeypatch.setattr(type(sample), "exchange", lambda _: exchange)
    monkeypatch.setattr(
        type(sample), "answer", lambda _: Reply(200, {}, b'[{"id": 1}, {"id": 2}]')
    )
    with pytest.raises(AssertionError) as raised:
        tests.test_a_row_that_cannot_be_read_leaves_the_others(sample)
    assert message(raised).startswith("An id was made up: [Ref(provider='b', key='None')]\n")


def test_the_whole_value_of_a_webhook_is_shown_as_json() -> None:
    """As that of an exchange."""
    folder = Path(__file__).parents[2] / "samples" / "voucherify"
    sample = webhook_samples(folder)[0]
    expected, sample.expect = sample.expect, {}
    adapter = Samples(Voucherify, folder).account()
    assert isinstance(adapter, ReceivesWebhooks)
    with pytest.raises(AssertionError) as raised:
        check_value(adapter, sample)
    shown = message(raised).removeprefix("The value is:\n")
    assert json.JSONDecoder().raw_decode(shown)[0] == expected
