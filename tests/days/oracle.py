"""What every study of a day has to come to, computed anew from everything that was said, by brute force (DESIGN 4).

It reads the plain values of the messages, never a fact, and must not import anything of the bridge.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import combinations, groupby, permutations, product
from operator import or_

from tests.days.messages import (
    Link,
    Merge,
    Message,
    Number,
    ObjectMessage,
    Patient,
    PatientMessage,
    PersonLink,
    RejectionNote,
    Request,
)
from tests.days.oracle_orders import Order, OrderName, orders
from tests.days.oracle_people import NOBODY, Comparison, Identity, People, comparable, equal, identity, is_number

_INCORRECT_WORKLIST_ENTRY = "113038"


@dataclass(frozen=True)
class Expected:
    """A verdict, the reasons that may be given for it, and the linked orders."""

    verdict: str
    reasons: frozenset[str | None] = frozenset((None,))
    orders: frozenset[OrderName] = frozenset()


def expected(messages: Sequence[Message]) -> Iterator[dict[str, Expected]]:
    """What each study has to come to; several answers where the times of messages leave open which is newer."""
    for sequence in _sequences(messages):
        yield _Day(sequence).expected()


def _sequences(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """Distinct messages in every sequence that their times allow."""
    distinct = list(dict.fromkeys(messages))
    timed = sorted((one for one in distinct if not isinstance(one, ObjectMessage | RejectionNote)), key=_time)
    rest: list[Message] = [one for one in distinct if isinstance(one, ObjectMessage | RejectionNote)]
    tied = [list(together) for _, together in groupby(timed, _time)]
    for choice in product(*(permutations(together) for together in tied)):
        yield [message for together in choice for message in together] + rest


def _time(message: Message) -> int:
    return 0 if isinstance(message, ObjectMessage | RejectionNote) else message.time


@dataclass
class _Study:
    objects: list[ObjectMessage] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # codes of notes that took objects out

    def requests(self) -> list[Request]:
        return [request for one in self.objects for request in one.requests]

    def studies(self) -> set[str]:
        return {one.study for one in self.objects} | {one.study for one in self.requests() if one.study}

    def accessions(self) -> set[Number]:
        return _stated([one.accession for one in (*self.objects, *self.requests())])

    def fillers(self) -> set[Number]:
        return _stated([one.filler for one in (*self.objects, *self.requests())])

    def placers(self) -> set[Number]:
        return _stated([one.placer for one in (*self.objects, *self.requests())])

    def requests_of(self, accession: str) -> list[Request]:
        """The request items about an accession number; one without a number is about that of its object, or any."""
        return [
            request
            for one in self.objects
            for request in one.requests
            if (_value(request.accession) or _value(one.accession) or accession) == accession
        ]


def _value(number: Number | None) -> str | None:
    return number.value if number and is_number(number) else None


def _stated(numbers: Sequence[Number | None]) -> set[Number]:
    """Without those whose issuer is stated elsewhere in the study."""
    found = {number for number in numbers if number and is_number(number)}
    with_issuer = {number.value for number in found if number.site}
    return {number for number in found if number.site or number.value not in with_issuer}


class _Day:
    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages = messages
        self.people = People(messages)
        self.orders = orders(messages)
        for order in self.orders:
            self._identify(order)
        self.no_keys = self._dummies()

    def expected(self) -> dict[str, Expected]:
        return {uid: self._verdict(uid, study) for uid, study in self._studies().items()}

    def _studies(self) -> dict[str, _Study]:
        """The current, unrejected objects of every study that ever had one."""
        studies: dict[str, _Study] = {}
        current: dict[str, ObjectMessage] = {}
        notes = [message for message in self.messages if isinstance(message, RejectionNote)]
        for message in self.messages:
            if isinstance(message, ObjectMessage):
                studies.setdefault(message.study, _Study())
                known = current.get(message.instance)
                if not known or (message.modified or 0) > (known.modified or 0):
                    current[message.instance] = message
        for note in notes:
            studies.setdefault(note.study, _Study()).notes.append(note.code)
        for instance, message in current.items():
            if not any(instance in note.rejected and message.study == note.study for note in notes):
                studies[message.study].objects.append(message)
        return studies

    # Patients of orders

    def _identify(self, order: Order) -> None:
        """Its newest numbers; every name and birth date that was stated of the same person (4.1, 4.3)."""
        stated: list[tuple[str, Identity]] = []
        numbers: tuple[str, frozenset[Number]] = ("", frozenset())
        for update in order.updates:  # one without a number is about the patient of the one before
            one = identity(update.message.patient)
            numbers = (update.message.facility, one.numbers) if one.numbers else numbers
            stated.append((numbers[0], replace(one, numbers=numbers[1])))
        newest = next(((place, one) for place, one in reversed(stated) if one.numbers), ("", NOBODY))
        order.facility = newest[0]
        own = Identity(newest[1].numbers, frozenset(), frozenset())
        for _, one in stated:
            if not self._is_another(newest[1], one):
                own |= Identity(frozenset(), one.names, one.birth_dates)
        order.identity = own
        patients: list[tuple[int, frozenset[Number]]] = []
        for message in self._patient_messages():
            said = identity(message.patient)
            forth, back = self._reaches(order, own, message, said), self._reaches(order, own, message, said, back=True)
            if forth or back:
                order.identity |= Identity(frozenset(), said.names, said.birth_dates)
            if (
                forth
                and message.event != "MRG"
                and any(  # a merged record says nothing of the number's others
                    one == other and (one.site or order.facility == message.facility)
                    for one, other in product(own.numbers, said.numbers)
                )
            ):
                patients.append((message.time, said.numbers))
        latest = max((update.message.time for update in order.updates if update.message.patient.numbers), default=-1)
        newer = [one for one in patients if one[0] >= latest]
        if newer:
            order.identity |= Identity(max(newer, key=lambda one: one[0])[1], frozenset(), frozenset())

    def _is_another(self, newest: Identity, one: Identity) -> bool:
        """Whether a statement is about somebody else than the newest one: by the numbers themselves, else by name."""
        pairs = list(product(newest.numbers, one.numbers))
        if any(equal(*pair) or self.people.identify_one(*pair) for pair in pairs):
            return False
        if any(comparable(*pair) for pair in pairs):
            return True
        return bool(pairs) and self.people.by_name(newest, one) == "different"

    def _patient_messages(self) -> list[PatientMessage]:
        """What ADT says of one patient; a merge says something of two."""
        found = []
        for one in self.messages:
            if isinstance(one, PatientMessage | Merge | Link):
                found.append(PatientMessage(one.time, one.facility, one.event, one.patient, one.true_person))
            if isinstance(one, Link):
                found.append(PatientMessage(one.time, one.facility, one.event, one.other, one.true_person))
            if isinstance(one, Merge) and one.prior_names:
                prior = Patient(one.prior, one.prior_names)
                found.append(PatientMessage(one.time, one.facility, "MRG", prior, one.true_person))
        return found

    def _reaches(
        self, order: Order, own: Identity, message: PatientMessage, said: Identity, *, back: bool = False
    ) -> bool:
        """Whether the order's patient leads to the message's, or the other way round."""
        for one, other in product(own.numbers, said.numbers):
            pair = (other, one) if back else (one, other)
            with_issuers = bool(one.site and other.site)
            of_one_sender = order.facility == message.facility
            if self.people.certainly_reaches(*pair) and (with_issuers or of_one_sender):
                return True
            if self.people.reaches(*pair) and self.people.may_be_same(said, own):
                return True
        return False

    def _dummies(self) -> set[str]:
        """Study Instance UIDs that orders of different patients carry."""
        return {
            uid
            for order in self.orders
            for uid in order.studies
            for other in self.orders
            if uid in other.studies and self.people.compare(order.identity, other.identity) == "different"
        }

    # The verdict

    def _verdict(self, uid: str, study: _Study) -> Expected:
        if not study.objects:
            if _INCORRECT_WORKLIST_ENTRY in study.notes:
                return Expected("conflict", frozenset(("incorrect-worklist-entry",)))
            return Expected("pending", frozenset(("no-instances",)))
        if any(one.identity_removed for one in study.objects):
            return Expected("pending", frozenset(("patient-identity-removed",)))
        alone = self._alone(uid, study)
        decided = {id(order): self._decided(uid, order) for order in self.orders}
        linked = [one for one in decided.values() if one and one.kind == "link"]
        if not linked:
            return alone
        newest = max(linked, key=lambda one: one.time)  # whoever it is for, the study is nobody else's
        patients = [order.identity for order in self.orders if decided[id(order)] is newest]
        chosen = [
            order.name
            for order in self.orders
            if decided[id(order)] in linked or order.name in alone.orders
            if not any(self.people.compare(order.identity, patient) == "different" for patient in patients)
        ]
        return Expected("matched", orders=frozenset(chosen))

    def _decided(self, uid: str, order: Order) -> PersonLink | None:
        """What a person decided last about a study and an order."""
        about = [
            message
            for message in self.messages
            if isinstance(message, PersonLink)
            and message.study == uid
            and order.is_named_by(*([number] if number else [] for number in (message.filler, message.placer)))
            and (order.filler or not message.filler)
            and (order.procedure or "") in (message.requested_procedure, *self._any_procedure(message))
        ]
        return max(about, key=lambda one: one.time) if about else None

    def _any_procedure(self, message: PersonLink) -> list[str]:
        """What was named without a requested procedure is each that the order has now, where none is without one."""
        numbers = (message.filler, message.placer)
        exact = any((one.filler, one.placer, one.procedure or "") == (*numbers, "") for one in self.orders)
        return [] if exact or message.requested_procedure else [one.procedure or "" for one in self.orders]

    def _alone(self, uid: str, study: _Study) -> Expected:
        """Without the links of people."""
        patients = [identity(one.patient) for one in study.objects]
        if any(self.people.compare(one, other) == "different" for one, other in product(patients, repeat=2)):
            return Expected("conflict", frozenset(("objects-of-different-patients",)))
        keys = {id(order): self._keys(order, study, patients) for order in self.orders}
        candidates = [order for order in self.orders if any(keys[id(order)])]
        if not candidates:
            return Expected("pending", frozenset(("no-order",)))
        by_study = {id(order) for order in candidates if keys[id(order)][0]}
        by_accession = {id(order) for order in candidates if keys[id(order)][1]}
        if by_study and by_accession and not by_study & by_accession:
            return Expected("conflict", frozenset(("keys-disagree",)))
        contradictions = {id(order): self._contradictions(uid, order, patients) for order in candidates}
        left = [order for order in candidates if not contradictions[id(order)]]
        if not left:
            return Expected("conflict", frozenset(code for codes in contradictions.values() for code in codes))
        claimed = [contradictions[id(order)] for order in candidates if uid in set(order.studies) - self.no_keys]
        claims = {code for codes in claimed for code in codes} - {"unlinked-by-person"} if all(claimed) else set()
        if claims:  # its own UID names an order that it must not have: it is no other's
            return Expected("conflict", frozenset(claims))
        sure = {id(one) for one in left if keys[id(one)][0] or self._compare(one, patients) == "same"}
        kept: list[Order] = []
        reasons: set[str | None] = set()
        for value in sorted({number.value for number in study.accessions()}):
            listed = [number for number in study.accessions() if number.value == value]
            its = [order for order in left if keys[id(order)][1] and order.is_one_of(listed)]
            kept += _kept(study, its, keys, study.requests_of(value), sure)
            if _of_two_sites(_strongest(its, keys), study, keys):
                reasons.add("several-orders")
        if not kept:
            kept = _kept(study, left, keys, study.requests(), sure)
            if _of_two_sites(_strongest(left, keys), study, keys):
                reasons.add("several-orders")
        same = {id(one) for one in kept if self._compare(one, patients) == "same"}
        for one, other in combinations({id(order): order for order in kept}.values(), 2):
            comparison = self.people.compare(one.identity, other.identity)
            if one.filler and one.filler == other.filler:
                continue  # two procedures of one order
            told_apart = one.identity != other.identity or one.identity == NOBODY
            if comparison == "different" or (
                comparison == "unknown" and told_apart and not {id(one), id(other)} <= same
            ):
                reasons.add("several-orders")
        if any(id(order) not in sure for order in kept):
            reasons.add("patient-unverified")
        if reasons:
            return Expected("ambiguous", frozenset(reasons))
        return Expected("matched", orders=frozenset(order.name for order in kept))

    def _compare(self, order: Order, patients: Sequence[Identity]) -> Comparison:
        """Every object of the study is the patient's; together they say who that is."""
        together = reduce(or_, patients)
        found = [self.people.compare(order.identity, patient) for patient in (*patients, together)]
        return "different" if "different" in found else found[-1]

    def _keys(self, order: Order, study: _Study, patients: Sequence[Identity]) -> tuple[bool, ...]:
        """Which rules link the two, the strongest first (4.2)."""
        numbers = {number for one in (order.identity, *patients) for number in one.numbers}
        known = [number for number in numbers if self.people.identifies(number)]
        merged = {
            other
            for number in known
            for place in self.people.places(number)
            for other in self.people.reach
            if self.people.same(place, other)
        }
        of_patients = {number.value for number in numbers | merged}

        def share(ones: Iterable[Number | None], others: Iterable[Number]) -> bool:
            return any(
                equal(one, other) and one.value not in of_patients
                for one, other in product(ones, others)
                if one and is_number(one)
            )

        return (
            bool(study.studies() & set(order.studies) - self.no_keys),
            share(order.accessions, study.accessions()),
            share([order.filler], study.fillers()),
            share([order.placer], study.placers()),
        )

    def _contradictions(self, uid: str, order: Order, patients: Sequence[Identity]) -> set[str]:
        found = set()
        if self._compare(order, patients) == "different":
            found.add("patient-differs")
        if order.is_cancelled:
            found.add("order-cancelled")
        if len(order.accessions) > 1 or len(order.studies) > 1:
            found.add("order-contradicts-itself")
        decided = self._decided(uid, order)
        if decided and decided.kind == "unlink":
            found.add("unlinked-by-person")
        return found


def _strongest(orders: Sequence[Order], keys: dict[int, tuple[bool, ...]]) -> list[Order]:
    best = max((keys[id(order)] for order in orders), default=())
    return [order for order in orders if keys[id(order)] == best]


def _kept(
    study: _Study, orders: list[Order], keys: dict[int, tuple[bool, ...]], requests: Sequence[Request], sure: set[int]
) -> list[Order]:
    """The strongest; those that requests name, if one of them is among the strongest.

    No request adds an order of another site, unless it says so, or one whose patient nobody can tell.
    """
    strongest = _strongest(orders, keys)
    named = [(order, request) for request in requests for order in _strongest(_named(orders, request), keys)]
    if not any(order in strongest for order, _ in named):
        return strongest

    def is_elsewhere(order: Order, request: Request) -> bool:
        says_so = request.accession is not None and request.accession.site is not None
        return not says_so and any(_of_two_sites([order, one], study, keys) for one in strongest)

    return [
        order
        for order, request in named
        if order in strongest or (id(order) in sure and not is_elsewhere(order, request))
    ]


def _named(orders: list[Order], request: Request) -> list[Order]:
    """By requested procedure ID, then by scheduled procedure step ID, which is unique only within the former."""
    accession = request.accession
    about = [order for order in orders if not (_value(accession) and order.accessions) or order.is_one_of([accession])]
    by_procedure = [order for order in about if request.requested_procedure == order.procedure]
    possible = [order for order in about if not (request.requested_procedure and order.procedure)]
    return [order for order in by_procedure or possible if request.step and order.step == request.step] or by_procedure


def _of_two_sites(orders: Sequence[Order], study: _Study, keys: dict[int, tuple[bool, ...]]) -> bool:
    """Whether a number of the study could be that of either of two orders, whose numbers are those of two sites.

    It does not matter of two that Study Instance UIDs name.
    """
    return any(
        equal(number, one) and equal(number, other) and not comparable(one, other)
        for pair in combinations(orders, 2)
        if not all(keys[id(order)][0] for order in pair)
        for stated, ones, others in (
            (study.accessions(), *(order.accessions for order in pair)),
            (study.fillers(), *([order.filler] for order in pair)),
            (study.placers(), *([order.placer] for order in pair)),
        )
        for number, one, other in product(stated, ones, others)
        if one and other
    )
