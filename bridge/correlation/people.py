"""What is known of the identity of patients: merges, links, their undoing, and what patient messages state."""

from collections.abc import Collection, Iterable

from bridge.core.facts import fact_keys
from bridge.core.model import Identifier, IdentityChange, PatientUpdate, Unmerge
from bridge.core.patients import is_placeholder
from bridge.core.persons import Persons
from bridge.core.policy import Policy
from bridge.core.rules import OTHER_PATIENT_ID, PATIENT_ID, Pair
from bridge.core.struct import encode
from bridge.store.transaction import Transaction

PatientFact = PatientUpdate | IdentityChange | Unmerge


class People:
    """Loads and keeps what concerns the identifiers at hand; most patients have nothing but plain updates."""

    def __init__(self, db: Transaction, policy: Policy) -> None:
        self._db = db
        self._nobody_merged = Persons(policy=policy)
        self._facts: dict[str, dict[bytes, PatientFact]] = {}  # by bare identifier, then by content

    def load(self, values: Collection[str]) -> None:
        """Everything that is connected with these identifiers by merges and links."""
        missing = {value for value in values if value not in self._facts}
        while missing:
            self._facts.update({value: {} for value in missing})
            keys = {("patient", value) for value in missing if not is_placeholder(value)}
            reached: set[str] = set()
            for fact in self._db.facts(keys, IdentityChange, Unmerge, PatientUpdate).values():
                content, named = encode(fact), {value for _, value in fact_keys(fact)}
                for value in named & missing:
                    self._facts[value][content] = fact
                if not isinstance(fact, PatientUpdate):
                    reached |= named
            missing = {value for value in reached if value not in self._facts}

    def add(self, fact: PatientFact) -> set[str]:
        """Keeps another fact; returns every identifier that it may concern."""
        named = {value for _, value in fact_keys(fact)}
        before = self._concerned(named)
        for value in named:
            if not is_placeholder(value):
                self._facts[value][encode(fact)] = fact
        return before | self._concerned(named)

    def _concerned(self, values: Iterable[str]) -> set[str]:
        """These with all that merges and links connect, and what messages state beside one of them."""
        connected = self.connected(values)
        facts = (fact for value in connected for fact in self._facts[value].values())
        return self.connected(connected.union(*({value for _, value in fact_keys(fact)} for fact in facts)))

    def connected(self, values: Iterable[str]) -> set[str]:
        """These identifiers, and all that merges and links lead to from them or to them."""
        seen = set(values)
        self.load(seen)
        open_values = seen
        while open_values:
            facts = (fact for value in open_values for fact in self._facts[value].values())
            reached = {v for fact in facts if not isinstance(fact, PatientUpdate) for _, v in fact_keys(fact)}
            open_values = reached - seen
            seen |= open_values
        return seen

    def persons(self, identifiers: Iterable[Identifier]) -> Persons:
        """Who is one person with whom, as far as these identifiers are concerned."""
        values = self.connected({identifier.value for identifier in identifiers})
        facts = {content: fact for value in values for content, fact in self._facts[value].items()}
        changes = [fact for fact in facts.values() if isinstance(fact, IdentityChange)]
        unmerges = [fact for fact in facts.values() if isinstance(fact, Unmerge)]
        return Persons(changes, unmerges, self._nobody_merged.policy) if changes else self._nobody_merged

    def updates(self, identifiers: Iterable[Identifier]) -> list[PatientUpdate]:
        """What patient messages state of whoever may be this patient."""
        values = self.connected({identifier.value for identifier in identifiers})
        facts = {content: fact for value in values for content, fact in self._facts[value].items()}
        return [fact for fact in facts.values() if isinstance(fact, PatientUpdate)]


def patient_keys(values: Iterable[str]) -> set[Pair]:
    """What orders and studies of patients with these identifiers are found by."""
    return {(rule, value) for value in values for rule in (PATIENT_ID, OTHER_PATIENT_ID)}
