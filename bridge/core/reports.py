"""Which reports are about a study: those of its linked orders as they stand, never those of another patient."""

from collections.abc import Iterable, Sequence

from bridge.core.identifiers import comparable_issuers, is_placeholder
from bridge.core.model import Identifier, Report, Stated
from bridge.core.orders import Order
from bridge.core.patients import Comparison, compare, identity
from bridge.core.persons import NO_MERGES, Persons
from bridge.core.policy import DEFAULT_POLICY, Policy
from bridge.core.rules import Pair
from bridge.core.struct import encode

_Numbers = tuple[Identifier | None, ...]


def current_reports(reports: Iterable[Report]) -> tuple[Report, ...]:
    """The newest of each report, by the time of the message and then by content; the newest first.

    A report is known by what names its order: the first that it states of filler order number, placer order number,
    accession number and Study Instance UID.
    """
    current: list[Report] = []
    for report in sorted(reports, key=_age, reverse=True):
        if not any(_same_report(report, newer) for newer in current):
            current.append(report)
    return tuple(current)


def reports_about(
    study_uid: str, linked: Sequence[Order], reports: Iterable[Report], persons: Persons = NO_MERGES
) -> tuple[Report, ...]:
    """Of these reports the current ones that are about an order that the study is linked to, the newest first."""
    about = [report for report in reports if any(_is_about(report, order, study_uid, persons) for order in linked)]
    return current_reports(about)


def report_lookups(study_uids: Iterable[str], linked: Iterable[Order]) -> frozenset[Pair]:
    """What reports about these studies may be found by: (level, bare value), as `facts.fact_keys` gives them."""
    stated = [
        pair
        for order in linked
        for pair in (
            ("filler", order.filler_order_number),
            ("placer", order.placer_order_number),
            *(("accession", number) for number in order.accession_numbers),
        )
    ]
    numbers = {(level, number.value) for level, number in stated if number and not is_placeholder(number.value)}
    return frozenset(numbers.union(("study", uid) for uid in study_uids))


def _is_about(report: Report, order: Order, study_uid: str, persons: Persons) -> bool:
    return (
        _names(report, order, study_uid, persons.policy)
        and compare(identity(report.patient), order.identity, persons) is not Comparison.DIFFERENT
    )


def _names(report: Report, order: Order, study_uid: str, policy: Policy) -> bool:
    """By the first number that both state and that can be compared, else by the study.

    A report on another requested procedure of the order names it as little as one on another study of it.
    """
    studies = _shared_studies(report.study_instance_uids, order.study_instance_uids)
    named_study = study_uid in {uid.value for uid in report.study_instance_uids}
    if _differ(report.requested_procedure_id, order.requested_procedure_id) or (studies is False and not named_study):
        return False
    by_accession = _shared(report.accession_numbers, order.accession_numbers, policy)
    by_filler = _shared((report.filler_order_number,), (order.filler_order_number,), policy)
    if by_filler is not None:
        return by_filler
    by_placer = _shared((report.placer_order_number,), (order.placer_order_number,), policy)
    if by_placer is not None:
        return by_placer and by_accession is not False  # one of several filler orders
    return named_study if by_accession is None else by_accession


def _same_report(one: Report, other: Report) -> bool:
    """Whether one is a later state of the other."""
    (level, ours), (other_level, theirs) = _named_by(one), _named_by(other)
    if level != other_level or _differ(one.requested_procedure_id, other.requested_procedure_id):
        return False
    if _shared_studies(one.study_instance_uids, other.study_instance_uids) is False:
        return False
    if level == "placer" and _shared(one.accession_numbers, other.accession_numbers) is False:
        return False
    return _shared(ours, theirs) is True if level else one == other


def _named_by(report: Report) -> tuple[str, _Numbers]:
    studies = tuple(Identifier(uid.value, uid.where) for uid in report.study_instance_uids)
    stated: tuple[tuple[str, _Numbers], ...] = (
        ("filler", (report.filler_order_number,)),
        ("placer", (report.placer_order_number,)),
        ("accession", report.accession_numbers),
        ("study", studies),
    )
    return next(((level, numbers) for level, numbers in stated if _usable(numbers)), ("", ()))


def _shared(one: _Numbers, other: _Numbers, policy: Policy = DEFAULT_POLICY) -> bool | None:
    """Whether a number stands on both sides; None where none can be compared."""
    pairs = [(a, b) for a in _usable(one) for b in _usable(other) if comparable_issuers(a.issuer, b.issuer, policy)]
    return any(a.value == b.value for a, b in pairs) if pairs else None


def _usable(numbers: _Numbers) -> list[Identifier]:
    return [number for number in numbers if number and not is_placeholder(number.value)]


def _shared_studies(one: Sequence[Stated], other: Sequence[Stated]) -> bool | None:
    return not {uid.value for uid in one}.isdisjoint(uid.value for uid in other) if one and other else None


def _differ(one: Stated | None, other: Stated | None) -> bool:
    return bool(one and other and one.value != other.value)


def _age(report: Report) -> tuple[str, bytes]:
    """Oldest first."""
    return report.message_time.rstrip("Z"), encode(report)
