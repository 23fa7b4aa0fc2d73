"""Every sample of every built-in adapter, by the contract that adapters of packages keep, too."""

from gateway.providers.registry import ADAPTERS, KINDS
from gateway.testing.contract import AdapterContract
from tests.contract.sample import FOLDER, samples


class TestStuut(AdapterContract):
    """Stuut."""

    kind = KINDS["stuut"]
    folder = FOLDER / "stuut"


class TestVoucherify(AdapterContract):
    """Voucherify."""

    kind = KINDS["voucherify"]
    folder = FOLDER / "voucherify"


class TestInstaleap(AdapterContract):
    """Instaleap."""

    kind = KINDS["instaleap"]
    folder = FOLDER / "instaleap"


class TestEmporix(AdapterContract):
    """Emporix."""

    kind = KINDS["emporix"]
    folder = FOLDER / "emporix"


def test_every_kind_has_its_contract() -> None:
    """Each built-in kind has a class above."""
    assert [each.kind for each in AdapterContract.__subclasses__()] == [*KINDS.values()]


def test_every_folder_of_samples_is_of_an_adapter() -> None:
    """No sample lies where nothing runs it."""
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(ADAPTERS)
    stray = [
        str(path.relative_to(FOLDER))
        for path in FOLDER.rglob("*")
        if path.is_file() and path.name != "settings.json" and path.suffix != ".json"
    ]
    assert stray == []
    webhooks = [*FOLDER.glob("*/webhooks/*.json")]
    assert len([*FOLDER.rglob("*.json")]) == len(samples()) + len(webhooks) + len(ADAPTERS)
