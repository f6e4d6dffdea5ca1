"""What must hold of every decision, whatever is known (DESIGN 4.4): no wrong link above all."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bridge.core.decision import CONTRADICTIONS, STUDY_CONTRADICTIONS, SUGGESTIONS, Decision, Verdict
from bridge.core.evidence import Departure, StudyFacts
from bridge.core.link_decisions import decided_about
from bridge.core.matching import decide
from bridge.core.model import LinkDecision, Patient, Request
from bridge.core.orders import Order
from bridge.core.patients import Comparison, compare, identity
from bridge.core.persons import NO_MERGES, Persons
from bridge.core.rules import study_keys
from tests.core.builders import (
    JANE,
    JOHN,
    MADE_BY_MODALITY,
    decided,
    header,
    merged,
    order,
    person,
    request,
    step,
    study,
    successor,
)

MATCHED, PENDING, AMBIGUOUS, CONFLICT = Verdict
EVERYTHING = CONTRADICTIONS + STUDY_CONTRADICTIONS

_accessions = st.sampled_from(["", "A1", "A2", "A1^RIS", "A1^LAB", "100"])
_uids = st.sampled_from(["", "1.1", "1.2"])
_fillers = st.sampled_from(["", "", "F1", "F2", "F1^RIS", "100"])
_placers = st.sampled_from(["", "", "P1", "P1^HIS", "P2"])
_days = st.sampled_from(["2026-03-01", "2026-03-02"])
_patients = st.sampled_from(
    [
        Patient(),
        JANE,
        JOHN,
        person("100"),
        person("300^HOSP", "Doe^Jane", "1970-01-31"),
        person("", "Doe^Jane", "1970-01-31"),
        person("100^OTHER"),
        person("", "Doe^Baby", "2026-01-01"),
    ]
)
_persons = st.sampled_from(
    [
        NO_MERGES,
        NO_MERGES,
        merged("100^HOSP > 300^HOSP"),
        merged("100^HOSP > 200^HOSP"),
        merged("100^HOSP > 200^HOSP", "100^HOSP > 300^HOSP"),
    ]
)
_requests = st.lists(
    st.builds(
        request,
        _accessions,
        rp=st.sampled_from(["", "R1", "R2"]),
        step=st.sampled_from(["", "S1", "S2"]),
        uid=_uids,
        filler=_fillers,
        placer=_placers,
    ).filter(lambda one: one != Request()),
    max_size=2,
).map(tuple)
_stated = {
    "placer": _placers,
    "accession": st.sampled_from(["", "A1", "A2", "A1^RIS", "A1^LAB", "A1 A2", "100"]),
    "uid": st.sampled_from(["", "1.1", "1.2", "1.1 1.2"]),
    "rp": st.sampled_from(["", "R1", "R2"]),
    "patient": _patients,
    "modality": st.sampled_from(["", "CT", "MR"]),
}
_numbers = st.sampled_from(["F1", "F2", "F3", "F1^RIS", "F1^LAB", "F5"])
_scheduled = st.builds(lambda day, modality: (step(day, modality),), _days, st.sampled_from(["CT", "MR"]))
_orders = st.one_of(
    st.builds(
        order,
        _numbers,
        **_stated,
        steps=st.sampled_from([(), ("S1",), ("S2",)]),
        control=st.sampled_from(["NW", "NW", "CA", "DC"]),
    ),
    st.builds(order, _numbers, **_stated, scheduled_steps=_scheduled),
    st.builds(successor, _numbers, of=st.builds(order, _numbers), **_stated),
)
_known_orders = st.lists(_orders, max_size=4, unique_by=lambda one: one.id)


@st.composite
def _studies(draw: st.DrawFn) -> StudyFacts:
    uid = draw(st.sampled_from(["1.1", "1.2", MADE_BY_MODALITY]))
    patients = st.just(draw(_patients)) | _patients  # mostly one
    objects = st.builds(
        header,
        uid=st.just(uid),
        accession=_accessions,
        requests=_requests,
        patient=patients,
        modality=st.sampled_from(["CT", "SR", None]),
        date=_days,
        strict=st.sampled_from([False, False, False, True]),
    )
    return study(*draw(st.lists(objects, min_size=1, max_size=3)))


_times = st.sampled_from([f"2026-02-01T0{hour}:00:00Z" for hour in range(4)])


@st.composite
def _decisions(draw: st.DrawFn, orders: Sequence[Order]) -> list[LinkDecision]:
    kinds = st.sampled_from(["link", "unlink", "undo"])
    confirmed = st.sampled_from([(), ("patient-differs",), EVERYTHING])
    one = st.builds(decided, kinds, st.sampled_from(orders), at=_times, overrides=confirmed)
    return draw(st.lists(one, max_size=4)) if orders else []


def _chosen(decision: Decision, orders: Sequence[Order]) -> list[Order]:
    return [one for one in orders if one.id in decision.orders]


@given(_studies(), _known_orders, _persons, st.data())
def test_no_sequence_and_no_duplicate_of_anything_changes_the_decision(
    said: StudyFacts, orders: list[Order], persons: Persons, data: st.DataObject
) -> None:
    departures = (Departure("1.1.1", "1.5"), Departure("1.1.2"), Departure("1.1.3", "1.6"))
    facts = replace(said, departures=departures, decisions=tuple(data.draw(_decisions(orders))))
    mixed = StudyFacts(
        statements=tuple(data.draw(st.permutations(facts.statements * 2))),
        departures=tuple(data.draw(st.permutations(departures * 2))),
        decisions=tuple(data.draw(st.permutations(facts.decisions * 2))),
    )

    assert decide(mixed, data.draw(st.permutations(orders * 2)), persons) == decide(facts, orders, persons)


@given(_studies(), _known_orders, _persons)
def test_no_order_is_linked_that_must_not_be(said: StudyFacts, orders: list[Order], persons: Persons) -> None:
    decision = decide(said, orders, persons)
    chosen = _chosen(decision, orders)

    assert (decision.verdict is MATCHED) is bool(decision.orders)
    assert (decision.verdict is MATCHED) is (decision.reason is None) is (decision.rule is not None)
    patients = [identity(one.patient) for one in said.statements]
    keys = {(key.rule, key.number.value) for key in study_keys(said.statements)}
    for one in chosen:
        assert one.status != "cancelled"
        assert len({number.value for number in one.accession_numbers}) < 2
        assert len({uid.value for uid in one.study_instance_uids}) < 2
        outcomes = {compare(one.identity, who, persons) for who in patients}
        assert Comparison.DIFFERENT not in outcomes
        by_uid = {("study-instance-uid", uid.value) for uid in one.study_instance_uids} & keys
        by_number = {("accession-number", number.value) for number in one.accession_numbers} | {
            (rule, number.value)
            for rule, number in (
                ("filler-order-number", one.filler_order_number),
                ("placer-order-number", one.placer_order_number),
            )
            if number
        }
        assert by_uid or (by_number & keys and Comparison.SAME in outcomes)


@given(_studies(), _known_orders, _persons)
def test_no_two_patients_are_ever_linked(said: StudyFacts, orders: list[Order], persons: Persons) -> None:
    whoever = [one.identity for one in _chosen(decide(said, orders, persons), orders)]
    whoever += [identity(one.patient) for one in said.statements] if whoever else []

    assert all(compare(one, other, persons) is not Comparison.DIFFERENT for one in whoever for other in whoever)


@given(_studies(), _known_orders, _persons)
def test_every_order_that_has_the_study_is_a_candidate(said: StudyFacts, orders: list[Order], persons: Persons) -> None:
    decision = decide(said, orders, persons)
    candidates = {candidate.order for candidate in decision.candidates}
    for candidate in decision.candidates:
        assert candidate.keys
    dummies = {
        finding.received.value
        for finding in decision.warnings
        if finding.code == "study-instance-uid-shared" and finding.received
    }
    for one in orders:
        shared = {uid.value for uid in one.study_instance_uids} & {said.statements[0].study_instance_uid} - dummies
        assert not shared or one.id in candidates


@given(_studies(), _known_orders, _orders, _persons)
def test_an_order_that_shares_nothing_and_is_not_suggested_changes_nothing(
    said: StudyFacts, orders: list[Order], stranger: Order, persons: Persons
) -> None:
    stranger = replace(
        stranger,
        id="o-stranger",
        placer_order_number=None,
        filler_order_number=None,
        accession_numbers=(),
        study_instance_uids=(),
        scheduled_steps=(),
        replaces=None,
    )

    assert decide(said, [*orders, stranger], persons) == decide(said, orders, persons)


@given(_studies(), _known_orders, _persons, st.data())
def test_what_is_only_suggested_changes_neither_verdict_nor_links(
    said: StudyFacts, orders: list[Order], persons: Persons, data: st.DataObject
) -> None:
    facts = replace(said, decisions=tuple(data.draw(_decisions(orders))))
    decision = decide(facts, orders, persons)
    suggested = {one.order for one in decision.candidates if set(one.keys) <= set(SUGGESTIONS)}
    suggested -= {one.order.id for one in facts.decisions}  # what a person named is found by that
    without = decide(facts, [one for one in orders if one.id not in suggested], persons)

    assert not suggested & set(decision.orders)
    assert decision.verdict is not MATCHED or not suggested
    assert (without.verdict, without.reason, without.orders, without.rule) == (
        decision.verdict,
        decision.reason,
        decision.orders,
        decision.rule,
    )


@given(_studies(), _known_orders.filter(bool), _persons, st.data())
def test_a_person_s_link_and_unlink_do_what_they_say(
    said: StudyFacts, orders: list[Order], persons: Persons, data: st.DataObject
) -> None:
    earlier = tuple(data.draw(_decisions(orders)))
    one = data.draw(st.sampled_from(orders))
    later = "2026-02-02T00:00:00Z"
    linked = decide(replace(said, decisions=(*earlier, decided("link", one, at=later))), orders, persons)
    unlinked = decide(replace(said, decisions=(*earlier, decided("unlink", one, at=later))), orders, persons)

    assert linked.verdict is MATCHED
    assert one.id in linked.orders
    assert "linked-by-person" in {finding.code for finding in linked.warnings if finding.order == one.id}
    assert one.id not in {finding.order for finding in linked.contradictions if finding.code != "keys-disagree"}
    assert one.id not in unlinked.orders


@given(_studies(), _known_orders.filter(bool), _persons, st.data())
def test_what_is_undone_never_was(said: StudyFacts, orders: list[Order], persons: Persons, data: st.DataObject) -> None:
    one = data.draw(st.sampled_from(orders))
    others = tuple(d for d in data.draw(_decisions(orders)) if d.order.id != one.id)
    decision = decided(data.draw(st.sampled_from(["link", "unlink"])), one, at="2026-02-02T00:00:00Z")
    undone = (*others, decision, decided("undo", one, at="2026-02-03T00:00:00Z"))

    assert decide(replace(said, decisions=undone), orders, persons) == decide(
        replace(said, decisions=others), orders, persons
    )


@given(_studies(), _known_orders, _persons, st.data())
def test_what_persons_link_comes_on_top_of_what_is_linked_without_them_but_for_another_patient_s(
    said: StudyFacts, orders: list[Order], persons: Persons, data: st.DataObject
) -> None:
    decisions = tuple(data.draw(_decisions(orders)))
    standing = decided_about(decisions, orders, persons)
    unlinks = tuple(one for one in standing.values() if one.kind == "unlink")
    decision = decide(replace(said, decisions=decisions), orders, persons)
    without = decide(replace(said, decisions=unlinks), orders, persons)

    linked = {finding.order for finding in decision.warnings if finding.code == "linked-by-person"}
    assert linked <= {order_id for order_id, one in standing.items() if one.kind == "link"}
    by_person = [one.identity for one in orders if one.id in linked]
    of_another = {
        one.id
        for one in _chosen(without, orders)
        if any(compare(one.identity, who, persons) is Comparison.DIFFERENT for who in by_person)
    }
    assert set(decision.orders) == {*without.orders, *linked} - (of_another - linked)
    if not of_another:
        assert decision.rule == (without.rule or ("person" if linked else None))


@given(_studies(), _known_orders.filter(bool), _persons, st.data())
def test_no_link_holds_against_another_patient_or_a_cancellation_that_the_person_did_not_see(
    said: StudyFacts, orders: list[Order], persons: Persons, data: st.DataObject
) -> None:
    one = data.draw(st.sampled_from(orders))
    confirmed = data.draw(st.sampled_from([(), ("patient-differs",), ("order-cancelled",)]))
    decision = decide(replace(said, decisions=(decided("link", one, overrides=confirmed),)), orders, persons)

    holds = one.id in decision.orders
    patients = [identity(one.patient) for one in said.statements]
    if any(compare(a, b, persons) is Comparison.DIFFERENT for a in patients for b in patients):
        assert not holds
    if "patient-differs" not in confirmed:
        outcomes = {compare(one.identity, who, persons) for who in patients}
        assert not holds or Comparison.DIFFERENT not in outcomes
    if "order-cancelled" not in confirmed:
        assert not holds or one.status != "cancelled"
    assert one.id in {candidate.order for candidate in decision.candidates}


@given(_studies(), _known_orders, _persons, st.data())
def test_an_identity_that_was_removed_is_never_linked(
    said: StudyFacts, orders: list[Order], persons: Persons, data: st.DataObject
) -> None:
    first, *others = said.statements
    removed = StudyFacts(
        (replace(first, patient_identity_removed=True), *others), decisions=tuple(data.draw(_decisions(orders)))
    )

    assert decide(removed, orders, persons) == Decision(PENDING, "patient-identity-removed")
