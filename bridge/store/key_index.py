"""The stored keys of orders or of studies as one transaction sees them: what it read, and what it changed since."""

from collections.abc import Collection, Iterable

from bridge.store.transaction import Pair, Transaction


class KeyIndex:
    """The keys of one side, `order` or `study`, and their owners."""

    def __init__(self, db: Transaction, side: str) -> None:
        self._db = db
        self._side = side
        self._owners: dict[Pair, set[str]] = {}
        self._added: set[tuple[Pair, str]] = set()
        self._removed: set[tuple[Pair, str]] = set()

    def load(self, keys: Iterable[Pair]) -> None:
        """Reads what is not known of these keys yet."""
        missing = {key for key in keys if key not in self._owners}
        if missing:
            self._owners.update(self._db.owners(self._side, missing))

    def owners(self, keys: Collection[Pair]) -> set[str]:
        """Whoever has one of these keys."""
        self.load(keys)
        return {owner for key in keys for owner in self._owners[key]}

    def replace(self, owner: str, before: frozenset[Pair], after: frozenset[Pair]) -> None:
        """Gives an owner other keys than it had."""
        self.load(before ^ after)
        for key in after - before:
            self._owners[key].add(owner)
            self._added.add((key, owner))
            self._removed.discard((key, owner))
        for key in before - after:
            self._owners[key].discard(owner)
            self._removed.add((key, owner))
            self._added.discard((key, owner))

    def save(self) -> None:
        """Writes the changes."""
        self._db.save_owners(self._side, self._added, self._removed)
