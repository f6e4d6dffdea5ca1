"""What a person is told who decides about studies, orders and patients: before, and afterwards."""

from collections.abc import Iterator, Sequence

from bridge.core.decision import Decision, Verdict
from bridge.core.events import event_name
from bridge.core.link_decisions import reference_to
from bridge.core.model import IdentityChange
from bridge.core.ports import Outbound
from bridge.explain import words
from bridge.explain.values import counted, reference_name
from bridge.store.transaction import Transaction


def before_linking(codes: Sequence[str]) -> Iterator[str]:
    """What speaks against a link, in words."""
    yield "Against this link:"
    for code in codes:
        said = words.reason(code)
        yield f"  {said.short}   ({code})"
        yield f"  {said.meaning}"


def afterwards(db: Transaction, study: str, decision: Decision) -> Iterator[str]:
    """The verdict about a study as it is now."""
    names = [reference_name(reference_to(order), False) for order in db.orders(decision.orders).values()]
    if decision.verdict is Verdict.MATCHED:
        yield f"study {study} is matched to {', '.join(names)}"
    else:
        yield f"study {study} is not linked, {decision.verdict}: {words.reason(decision.reason).short}"


def owed(events: Sequence[Outbound]) -> Iterator[str]:
    """The events of studies that are to be published, and how many there are in all."""
    for event in events:
        if (name := event_name(event.type)).startswith("study."):
            yield f"{name}  {_study_of(event)}"
    yield f"{counted(len(events), 'event')} to be published by bridge run" if events else "no event is owed by this"


def knows_merge(db: Transaction, prior: str, survivor: str) -> bool:
    """Whether a message merged or linked two patient identifiers (VALUE, or VALUE^ISSUER)."""
    values = {text.partition("^")[0] for text in (prior, survivor)}
    changes = db.facts({("patient", value) for value in values}, IdentityChange).values()
    return any(
        values <= {number.value for number in (*change.patient_identifiers, *change.prior_identifiers)}
        for change in changes
    )


def _study_of(event: Outbound) -> str:
    return str(event.headers["partitionkey"])
