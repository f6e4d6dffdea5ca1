"""What every HL7 v2 message says alike: who sent it and when, and what a PID segment says about a patient.

Warnings and paths name places, never values.
"""

from datetime import UTC, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import UNSET, UnsetType

from bridge.core.model import Identifier, MessageSource, Patient, PersonName
from bridge.core.normalisation import Normalisation, ValueRules, sender_in
from bridge.formats.hl7 import Message, Segment
from bridge.formats.hl7_values import (
    Moment,
    Said,
    date_of_birth,
    identifiers,
    known,
    moment,
    names,
    offset,
    person_name,
    text,
)
from bridge.formats.lost_characters import is_lost

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
        self._sent_at = known(self.moment(header, 7))
        self.source = MessageSource(
            sending_application=known(text(header, 3)),
            sending_facility=known(text(header, 4)),
            message_type=message_type,
            message_control_id=known(text(header, 10)),
            channel=channel,
        )
        rules = normalisation.rules_for(sender_in(self.source)) if normalisation else ValueRules()
        self.places = rules.places

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

    def moment(self, segment: Segment | None, number: int, component: int = 1) -> Said[Moment]:
        said = text(segment, number, component)
        if segment is None or not isinstance(said, str):
            return None if said is None else UNSET
        found = moment(said, self._zone)
        if not found:
            where = segment.where(number, 1, component if component > 1 else 0)
            self.warnings.append(f"{where}: not a date and time")
        return found or UNSET

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
                "patient_identifiers": _patient_identifiers(patient),
                "patient_names": self._names(patient),
                "birth_date": self._birth_date(patient),
                "sex": _sex(patient),
                "account_number": text(patient, 18),
            }
        return self._patients[patient]

    def _names(self, patient: Segment | None) -> tuple[PersonName, ...] | UnsetType:
        if patient and "??" in patient.field(5):
            for repetition in range(1, len(patient.repetitions(5)) + 1):
                if is_lost(person_name(patient.encoding, patient.components(5, repetition)) or ""):
                    place = patient.where(5, repetition)
                    self.warnings.append(f"{place}: ? in place of letters: an engine wrote it in another character set")
        return names(patient, 5)

    def _birth_date(self, patient: Segment | None) -> Said[str]:
        said = text(patient, 7)
        if patient is None or not isinstance(said, str):
            return said
        found = date_of_birth(said)
        if not found:
            self.warnings.append(f"{patient.where(7)}: not a date")
        return found or UNSET


def written(said: Said[Moment]) -> Said[str]:
    """A moment as RFC 3339, or `YYYY-MM-DD` for a day alone."""
    return said.rfc3339() if isinstance(said, Moment) else said


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)


def _patient_identifiers(patient: Segment | None) -> tuple[Identifier, ...] | UnsetType:
    """PID-3, else PID-2, where senders of HL7 2.2 put them. PID-4 is another's number, perhaps of another patient."""
    stated = [identifiers(patient, 3), identifiers(patient, 2)]
    return next((found for found in stated if found), () if () in stated else UNSET)


def _sex(patient: Segment | None) -> Said[str]:
    said = text(patient, 8)
    return _SEXES.get(said) if isinstance(said, str) else said
