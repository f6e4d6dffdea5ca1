"""What a channel says about its senders: where they keep what and how they write it, default issuers, cleaned
identifiers, placeholders.

Places, codes and date formats are used where a message is read; the others are applied to facts as they were read,
before anything is compared. An identifier keeps the place it
was read from; a value that nothing is said about stays as it is.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, TypeVar

from msgspec import NODEFAULT, UNSET
from msgspec.structs import fields, replace

from bridge.core.model import (
    Fact,
    Identifier,
    IdentityChange,
    Instance,
    Issuer,
    MessageSource,
    OrderNumbers,
    PatientUpdate,
    Request,
    ScheduledStep,
    Stated,
)
from bridge.core.struct import Value

F = TypeVar("F", bound=Fact)
V = TypeVar("V", bound=Value)

# The kinds of identifiers that rules are about, by the fields of facts that hold them.
_KINDS = {
    "patient_identifiers": "patient_id",
    "prior_identifiers": "patient_id",
    "identifiers": "patient_id",
    "accession_number": "accession_number",
    "accession_numbers": "accession_number",
    "placer_order_number": "placer_order_number",
    "placer_order_numbers": "placer_order_number",
    "filler_order_number": "filler_order_number",
    "filler_order_numbers": "filler_order_number",
    "requested_procedure_id": "requested_procedure_id",
    "scheduled_procedure_step_id": "scheduled_procedure_step_id",
}
_HOLDERS = frozenset(("statement", "patient", "requests", "replaces", "parent", "scheduled_steps"))  # of such fields
_NOTHING_WITHOUT_VALUES = (OrderNumbers, Request, ScheduledStep)

# A name, or a name, a colon and its argument, which is all that stands behind it. The last colon of `split` parts the
# text to cut at from the number of the part.
STEP = re.compile(
    r"trim|upper|lower|strip_leading_zeros|strip_(?:prefix|suffix):.+|split:.+:[1-9][0-9]?"
    r"|pad:(?:[1-9]|[1-5][0-9]|6[0-4])"
)


def _part_of(value: str, argument: str) -> str:
    """A part of a value cut at each occurrence of a text.

    A value that has no such part stays: absent, it would contradict nobody.
    """
    separator, _, number = argument.rpartition(":")
    parts = value.split(separator)
    return parts[int(number) - 1].strip() or value if int(number) <= len(parts) else value


def _padded(value: str, argument: str) -> str:
    """A number with leading zeros; a value with anything but digits is no number, and stays."""
    return value.rjust(int(argument), "0") if value.isascii() and value.isdigit() else value


_STEPS: Mapping[str, Callable[[str, str], str]] = {
    "trim": lambda value, _: value.strip(),
    "upper": lambda value, _: value.upper(),
    "lower": lambda value, _: value.lower(),
    "strip_leading_zeros": lambda value, _: value.lstrip("0"),
    "strip_prefix": str.removeprefix,
    "strip_suffix": str.removesuffix,
    "split": _part_of,
    "pad": _padded,
}


class ValueRules(Value):
    """`issuers` and `steps` by kind of identifier (`patient_id`, `accession_number`, …).

    An issuer is that of identifiers that state none; None leaves them without. Steps are written as in `STEP`, and
    `placeholders` in capitals; None is for a sender of whom the channel says nothing else. `places` are HL7 paths or
    DICOM attributes by what stands there (`accession_number`, …), in place of where the standards have it. `codes` are
    a sender's words with those of the standard, by what they are about (`modality`, `sex`); `date_formats`, None as
    for placeholders, are those of `strptime` for times that are not written as HL7 has them.
    """

    issuers: Mapping[str, Issuer | None] = {}
    steps: Mapping[str, tuple[str, ...]] = {}
    placeholders: frozenset[str] | None = None
    places: Mapping[str, tuple[str, ...]] = {}
    codes: Mapping[str, Mapping[str, str]] = {}
    date_formats: tuple[str, ...] | None = None


class Sender(Value):
    """What differs for one sender: all that `when` names must be equal (`sending_application`, `station_name`, …).

    `number` is its place in the channel file, from 0.
    """

    when: Mapping[str, str]
    rules: ValueRules
    number: int = 0


class Normalisation(Value):
    """The rules of a channel, then those of senders: a later one prevails."""

    rules: ValueRules = ValueRules()
    senders: tuple[Sender, ...] = ()

    def rules_for(self, stated: Mapping[str, str | None]) -> ValueRules:
        """The rules for a sender, given what its message states of it."""
        rules = self.rules
        for sender in self.senders:
            if all(stated.get(name) == value for name, value in sender.when.items()):
                own = sender.rules
                rules = ValueRules(
                    issuers={**rules.issuers, **own.issuers},
                    steps={**rules.steps, **own.steps},
                    placeholders=rules.placeholders if own.placeholders is None else own.placeholders,
                    places={**rules.places, **own.places},
                    codes={**rules.codes, **own.codes},
                    date_formats=rules.date_formats if own.date_formats is None else own.date_formats,
                )
        return rules


def sender_of(fact: Fact, headers: Mapping[str, str]) -> Mapping[str, str | None]:
    """What a message states of its sender, by the names of `Sender.when`."""
    if isinstance(fact, Instance):
        return {"calling_ae_title": headers.get("calling-aet", "").strip(), "station_name": fact.station_name}
    return sender_in(fact.source)


def sender_in(source: MessageSource) -> Mapping[str, str | None]:
    """The same of an HL7 message."""
    return {"sending_application": source.sending_application, "sending_facility": source.sending_facility}


def normalised(fact: F, normalisation: Normalisation, headers: Mapping[str, str]) -> F:
    """The fact with the rules for its sender applied to every identifier; `headers` are those of its `Inbound`.

    An identifier without a value is absent, which is not the same as deleted: what was known of an order stays.
    """
    return _applied(fact, normalisation.rules_for(sender_of(fact, headers)))


def names_nobody(fact: Fact) -> bool:
    """Whether of a patient message, merge or link nobody is left whom it would be about."""
    match fact:
        case PatientUpdate():
            return not fact.patient_identifiers
        case IdentityChange():
            return not (fact.patient_identifiers and fact.prior_identifiers)
    return False


def _applied(stated: V, rules: ValueRules) -> V:
    changed: dict[str, Any] = {}
    for name in stated.__struct_fields__:
        kind = _KINDS.get(name)
        if kind is None and name not in _HOLDERS:
            continue
        before = getattr(stated, name)
        now = _each(before, partial(_cleaned, kind, rules) if kind else partial(_part, rules))
        if kind and kind != "patient_id" and isinstance(now, tuple):
            now = _distinct(now)
        if now != before:
            changed[name] = now or _absent(type(stated), name)
    return replace(stated, **changed) if changed else stated


def _each(stated: Any, change: Callable[[Any], Any]) -> Any:
    """One value or several, changed; None is left out. What is absent or deleted stays so."""
    if isinstance(stated, tuple):
        return tuple(now for one in stated if (now := change(one)) is not None)
    return stated if stated is None or stated is UNSET else change(stated)


def _part(rules: ValueRules, stated: Value) -> Value | None:
    now = _applied(stated, rules)
    return None if isinstance(now, _NOTHING_WITHOUT_VALUES) and now == type(now)() else now


def _cleaned(kind: str, rules: ValueRules, stated: Identifier | Stated | str) -> Identifier | Stated | str | None:
    before = stated if isinstance(stated, str) else stated.value
    value = before
    for step in rules.steps.get(kind, ()):
        name, _, argument = step.partition(":")
        value = _STEPS[name](value, argument)
    value = value.strip()
    if not value or not (rules.placeholders or frozenset()).isdisjoint((before.upper(), value.upper())):
        return None
    if isinstance(stated, str):
        return value
    if isinstance(stated, Stated):
        return replace(stated, value=value)
    issuer = stated.issuer
    states_issuer = issuer and (issuer.namespace_id or issuer.universal_id)
    return replace(stated, value=value, issuer=issuer if states_issuer else rules.issuers.get(kind, issuer))


def _distinct(identifiers: tuple[Identifier, ...]) -> tuple[Identifier, ...]:
    """Without those that have become equal to one before: the same value of the same issuer, or where one has none."""
    issuers: dict[str, set[Issuer | None]] = {}
    found = []
    for one in identifiers:
        known = issuers.setdefault(one.value, set())
        if not known or (one.issuer is not None and known.isdisjoint((None, one.issuer))):
            known.add(one.issuer)
            found.append(one)
    return tuple(found)


@lru_cache
def _absent(of: type[Value], name: str) -> Any:
    """What a field is that the message does not mention."""
    default = next(field.default for field in fields(of) if field.name == name)
    return () if default is NODEFAULT else default
