"""What every HL7 v2 message says alike: who sent it and when, and what a PID segment says about a patient.

Warnings and paths name places, never values.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, tzinfo
from functools import lru_cache
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from msgspec import UNSET, UnsetType

from bridge.core.model import Identifier, MessageSource, Patient, PersonName
from bridge.core.normalisation import Normalisation, ValueRules, sender_in
from bridge.formats.date_formats import moment_in
from bridge.formats.hl7 import Message, Segment
from bridge.formats.hl7_paths import Path, parse_path
from bridge.formats.hl7_places import at_places, patient_identifier_at
from bridge.formats.hl7_values import (
    Moment,
    Said,
    date_of_birth,
    first,
    identifiers,
    known,
    moment,
    names,
    offset,
    person_name,
    text,
)
from bridge.formats.lost_characters import is_lost

T = TypeVar("T")

PRIOR = {2: 4, 3: 1, 4: 2}  # the fields of MRG by those of PID whose prior identifiers they are (HL7 2.5.1, 3.4.9)
_USUAL = {"birth_date": parse_path("PID-7"), "sex": parse_path("PID-8")}
_NO_RULES = ValueRules()
_SEXES = {"F": "F", "M": "M", "O": "O", "A": "O", "N": "O"}  # table 0001 to PS3.3 C.7.1.1; U is unknown


class Reader:
    """Reads one message; what is wrong with it is added to `warnings`.

    `timezone` (IANA) is where the sender is, for times without an offset in a message whose MSH-7 has none either;
    `normalisation` is what the channel says about its senders; `places` are the paths where this one keeps what.
    """

    def __init__(
        self, message: Message, message_type: str, channel: str, timezone: str, normalisation: Normalisation | None
    ) -> None:
        self.message = message
        self.warnings = list(message.warnings)
        header = message.segments[0]
        self._zone = offset(known(text(header, 7)) or "") or _zone(timezone)
        self._patients: dict[Segment | None, dict[str, Any]] = {}
        self.source = MessageSource(
            sending_application=known(text(header, 3)),
            sending_facility=known(text(header, 4)),
            message_type=message_type,
            message_control_id=known(text(header, 10)),
            channel=channel,
        )
        self._rules = normalisation.rules_for(sender_in(self.source)) if normalisation else _NO_RULES
        self.places = self._rules.places
        self._sent_at = known(self.moment(header, 7))

    @property
    def id_fields(self) -> list[int]:
        """The fields of PID that hold patients' numbers, the preferred one first."""
        return list(dict.fromkeys(parse_path(place).field for place in self.places.get("ids", ("PID-3", "PID-2"))))

    @property
    def event(self) -> str:
        """The trigger event, such as A08 (HL7 table 0003)."""
        return (self.source.message_type or "").partition("^")[2]

    def message_time(self, stated: Moment | None = None, otherwise: Moment | None = None) -> str:
        """When something was stated, or else MSH-7, in UTC: the first with a time of day, as a day orders nothing.

        `otherwise` stands in where MSH-7 is no better.
        """
        times = [one for one in (stated, self._sent_at, otherwise) if one]
        chosen = next((one for one in times if one.timed), next(iter(times), None))
        return chosen.in_utc() if chosen else ""

    def moment(self, segment: Segment | None, number: int, component: int = 1, repetition: int = 1) -> Said[Moment]:
        said = text(segment, number, component, repetition)
        if segment is None or not isinstance(said, str):
            return None if said is None else UNSET
        found = moment(said, self._zone) or moment_in(self._rules.date_formats or (), said, self._zone)
        if not found:
            where = segment.where(number, repetition, component if component > 1 else 0)
            self.warnings.append(f"{where}: not a date and time")
        return found or UNSET

    def meant(self, kind: str, code: str) -> str:
        """What a sender's own word stands for (`transformer.codes`); any other is what it says."""
        return self._rules.codes[kind].get(code, code) if kind in self._rules.codes else code

    def patient_fields(self, patient: Segment | None, visit: Segment | None) -> dict[str, Any]:
        """What PID and PV1 say, by the names of the fields of `OrderUpdate` and `PatientUpdate`."""
        return {**self._said_of(patient), "visit_number": text(visit, 19)}

    def patient(self, patient: Segment | None) -> Patient:
        """What PID says, where nothing is ever deleted by it."""
        said = self._said_of(patient)
        return Patient(
            identifiers=known(said["patient_identifiers"]) or (),
            names=known(said["patient_names"]) or (),
            birth_date=known(said["birth_date"]),
            sex=known(said["sex"]),
        )

    def _said_of(self, patient: Segment | None) -> dict[str, Any]:
        """Read once: hundreds of groups may be about one PID."""
        if patient not in self._patients:
            self._patients[patient] = {
                "patient_identifiers": self._identifiers(patient),
                "patient_names": self._names(patient),
                "birth_date": self._kept(patient, "birth_date", self._birth_date),
                "sex": self._kept(patient, "sex", self._sex),
                "account_number": text(patient, 18),
            }
        return self._patients[patient]

    def _kept(self, patient: Segment | None, name: str, read: Callable[[Segment, Path, int], Said[str]]) -> Said[str]:
        if name in self.places:
            return first(*at_places(self.places[name], {"PID": patient}.get, read))
        return read(patient, _USUAL[name], 1) if patient else UNSET

    def _identifiers(self, patient: Segment | None) -> tuple[Identifier, ...] | UnsetType:
        """PID-3, else PID-2, where senders of HL7 2.2 put them.

        Unless a channel says so never PID-4, which is another's number, perhaps of another patient.
        """
        if "ids" in self.places:
            return _all(at_places(self.places["ids"], {"PID": patient}.get, patient_identifier_at))
        return _some(identifiers(patient, number) for number in (3, 2))

    def prior_identifiers(self, merge: Segment) -> tuple[Identifier, ...] | UnsetType:
        """MRG-1, else MRG-4, as PID-2 stands in for PID-3; where a channel says in which of them its sender keeps
        patients' numbers, those of MRG that are alike.

        Otherwise never MRG-2: like those of PID-4, alternate numbers may be of other systems, which give them to other
        people too.
        """
        if "ids" in self.places:
            return _all(at_places(map(_prior, self.places["ids"]), {"MRG": merge}.get, patient_identifier_at))
        return _some(identifiers(merge, number) for number in (1, 4))

    def _names(self, patient: Segment | None) -> tuple[PersonName, ...] | UnsetType:
        if "name" in self.places:
            return _some(self._names_in(patient, parse_path(place).field) for place in self.places["name"])
        return self._names_in(patient, 5)

    def _names_in(self, patient: Segment | None, field: int) -> tuple[PersonName, ...] | UnsetType:
        if patient and "??" in patient.field(field):
            for repetition in range(1, len(patient.repetitions(field)) + 1):
                if is_lost(person_name(patient.encoding, patient.components(field, repetition)) or ""):
                    place = patient.where(field, repetition)
                    self.warnings.append(f"{place}: ? in place of letters: an engine wrote it in another character set")
        return names(patient, field)

    def _birth_date(self, patient: Segment, path: Path, repetition: int) -> Said[str]:
        said = text(patient, path.field, path.component or 1, repetition)
        if not isinstance(said, str):
            return said
        found = date_of_birth(said)
        if not found and (written_so := moment_in(self._rules.date_formats or (), said, UTC)):
            found = f"{written_so.when:%Y-%m-%d}"
        if not found:
            self.warnings.append(f"{patient.where(path.field, repetition, path.component or 0)}: not a date")
        return found or UNSET

    def _sex(self, patient: Segment, path: Path, repetition: int) -> Said[str]:
        said = text(patient, path.field, path.component or 1, repetition)
        return _SEXES.get(self.meant("sex", said)) if isinstance(said, str) else said


def written(said: Said[Moment]) -> Said[str]:
    """A moment as RFC 3339, or `YYYY-MM-DD` for a day alone."""
    return said.rfc3339() if isinstance(said, Moment) else said


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)


def _prior(place: str) -> str:
    """The place in MRG of what stands at one in PID: those of PID-2, PID-3 and PID-4 (HL7 2.5.1, 3.4.9)."""
    field = parse_path(place).field
    return place.replace(f"PID-{field}", f"MRG-{PRIOR[field]}", 1)


def _all(said: Sequence[Said[T]]) -> tuple[T, ...] | UnsetType:
    """Every value; empty where there is none but one is deleted."""
    found = tuple(one for one in said if one is not None and not isinstance(one, UnsetType))
    return found if found or None in said else UNSET


def _some(said: Iterable[tuple[T, ...] | UnsetType]) -> tuple[T, ...] | UnsetType:
    """The first that has values; empty where none has but one is deleted."""
    every_one = list(said)
    return next((found for found in every_one if found), () if () in every_one else UNSET)
