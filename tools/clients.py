"""Install the GraphQL clients that tests run: those of `tests/clients`, and the examples."""

from node import ROOT, install, path_to_node

CLIENTS = ROOT / "tests" / "clients"
EXAMPLES = sorted(lock.parent for lock in ROOT.glob("examples/*/package-lock.json"))


def main() -> None:
    """Install the clients."""
    print("Installing the GraphQL clients for the tests (once) …", flush=True)
    path = path_to_node()
    install(CLIENTS, path)
    install(CLIENTS / "federation", path)
    print("Installing the packages of the examples (once) …", flush=True)
    for example in EXAMPLES:
        install(example, path)
    (CLIENTS / "node_modules" / ".package-lock.json").touch()


if __name__ == "__main__":
    main()
