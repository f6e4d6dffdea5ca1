"""Makes the events of one transaction out of what was decided, and keeps them until they are saved."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from bridge.core.channel import Destination
from bridge.core.decision import Decision, Verdict
from bridge.core.events import (
    AmendedData,
    Change,
    InstanceData,
    Lineage,
    OverdueData,
    Previous,
    PublishedReport,
    RejectedInstanceData,
    Rejection,
    ReportedData,
    SettledData,
    StudyData,
)
from bridge.core.instance_number import InstanceNumber
from bridge.core.model import Statement
from bridge.core.orders import Order
from bridge.core.ports import Outbound
from bridge.core.publishing import (
    cloud_event,
    compact,
    correlation,
    instance_data,
    outbound,
    published_order,
    published_study,
    routing_keys,
)
from bridge.core.reconciliation import Difference, reconcile
from bridge.correlation.cause import Cause, Site
from bridge.correlation.studies import series_of
from bridge.formats.filters import refused_by
from bridge.formats.selection import carried
from bridge.store.rows import HistoryEntry, StoredInstance, StoredStudy

# IHE RAD IOCM; PS3.16 CID 7011 and 7010.
MEANINGS = {
    "113001": "Rejected for Quality Reasons",
    "113037": "Rejected for Patient Safety Reasons",
    "113038": "Incorrect Modality Worklist Entry",
    "113039": "Data Retention Policy Expired",
}


class _Told:
    """What is the same in the events of all objects of a study: there may be thousands."""

    def __init__(self, study: StoredStudy, linked: Sequence[Order], before: Decision | None) -> None:
        self.correlation = correlation(decided(study), previous(before))
        self.orders = tuple(published_order(order) for order in linked)
        self._linked = linked
        self._reconciled: dict[Statement, tuple[Difference, ...]] = {}

    def reconciliation(self, said: Statement) -> tuple[Difference, ...]:
        if said not in self._reconciled:
            self._reconciled[said] = reconcile(said, self._linked)
        return self._reconciled[said]


class Announcer:
    """Owes events, each to the destinations of its channel that want it; says whether there was one.

    `objects` gives the current objects of a study.
    """

    def __init__(self, site: Site, objects: Callable[[StoredStudy], Sequence[StoredInstance]]) -> None:
        self._site = site
        self._objects = objects
        self.events: list[Outbound] = []

    def study(
        self, name: str, study: StoredStudy, linked: Sequence[Order], before: Decision | None, cause: Cause
    ) -> bool:
        return self._owe_study(name, study, self._study_data(study, linked, before, cause), cause)

    def amended(
        self, study: StoredStudy, linked: Sequence[Order], changes: Sequence[Change], before: Decision, cause: Cause
    ) -> bool:
        data = self._study_data(study, linked, before, cause)
        return self._owe_study("study.amended", study, _with(AmendedData, data, changes=tuple(changes)), cause)

    def reported(
        self, study: StoredStudy, linked: Sequence[Order], reports: Iterable[PublishedReport], cause: Cause
    ) -> bool:
        data = self._study_data(study, linked, study.decision, cause)
        return self._owe_study("study.reported", study, _with(ReportedData, data, reports=tuple(reports)), cause)

    def overdue(self, study: StoredStudy, cause: Cause) -> bool:
        data = self._study_data(study, (), study.decision, cause)
        held = {"since": study.since, "hold_for": self._site.holds_for(study.channel)}
        return self._owe_study("study.overdue", study, _with(OverdueData, data, **held), cause)

    def settled(
        self,
        name: str,
        study: StoredStudy,
        linked: Sequence[Order],
        numbers: dict[tuple[str, str], list[InstanceNumber]],
        before: Decision | None,
        cause: Cause,
        *,
        reopened: bool,
    ) -> bool:
        """`study.settled`, or `study.ready`."""
        data = self._study_data(study, linked, before, cause, numbers)
        quiet = {"reason": "quiet", "quiet_time": self._site.settles_after(study.channel), "reopened": reopened}
        return self._owe_study(name, study, _with(SettledData, data, **quiet), cause)

    def instances(
        self,
        study: StoredStudy,
        instances: Iterable[StoredInstance],
        linked: Sequence[Order],
        before: Decision | None,
        cause: Cause,
    ) -> None:
        """Each object with the verdict about its study."""
        verdict = decided(study).verdict
        name = f"instance.{'enriched' if verdict is Verdict.MATCHED else verdict}"
        told = _Told(study, linked, before)
        for stored in instances:
            self._owe_instance(name, study, stored, self._instance_data(study, stored, told, cause), cause)

    def rejected(
        self,
        study: StoredStudy,
        stored: StoredInstance,
        linked: Sequence[Order],
        rejection: tuple[str, str],
        cause: Cause,
    ) -> None:
        """An object that a note took out: `rejection` is the note's code and UID."""
        code, note = rejection
        data = self._instance_data(study, stored, _Told(study, linked, None), cause)
        said = _with(RejectedInstanceData, data, rejection=Rejection(code, MEANINGS.get(code, ""), note))
        self._owe_instance("instance.rejected", study, stored, said, cause)

    def _study_data(
        self,
        study: StoredStudy,
        linked: Sequence[Order],
        before: Decision | None,
        cause: Cause,
        numbers: dict[tuple[str, str], list[InstanceNumber]] | None = None,
    ) -> StudyData:
        return StudyData(
            revision=study.revision,
            channel=study.channel,
            study=published_study(study.uid, study.current_statements(), series_of(study, numbers)),
            correlation=correlation(decided(study), previous(before)),
            orders=tuple(published_order(order) for order in linked),
            lineage=Lineage(None, cause.message),
        )

    def _instance_data(
        self,
        study: StoredStudy,
        stored: StoredInstance,
        told: "_Told",
        cause: Cause,
    ) -> InstanceData:
        channel = self._site.channels.get(stored.channel)
        return instance_data(
            stored.instance,
            told.correlation,
            told.orders,
            told.reconciliation(stored.instance.statement),
            revision=study.revision,
            channel=stored.channel,
            lineage=Lineage(stored.message, cause.message),
            retrieve=channel.retrieve.of(stored.instance) if channel and channel.retrieve else None,
        )

    def _owe_study(self, name: str, study: StoredStudy, data: StudyData, cause: Cause) -> bool:
        wanted = self._site.destinations(study.channel, name)
        if any(one.filter for one in wanted):
            objects = [one.instance for one in self._objects(study)]
            wanted = [one for one in wanted if not refused_by(one, objects)]
        for destination in wanted:
            self._owe(name, study.uid, study, study.channel, destination, data, data.study.modalities, cause)
        return bool(wanted)

    def _owe_instance(
        self, name: str, study: StoredStudy, stored: StoredInstance, data: InstanceData, cause: Cause
    ) -> None:
        wanted = self._site.destinations(stored.channel, name)
        channel, modality = self._site.channels.get(stored.channel), stored.instance.statement.modality
        modalities = (modality,) if modality else ()
        uid, dicom = stored.instance.sop_instance_uid, data.instance.dicom
        for destination in wanted:
            if destination.filter and refused_by(destination, [stored.instance]):
                continue
            said = carried(dicom, channel, destination) if channel else dicom
            shown = data if said is dicom else replace(data, instance=replace(data.instance, dicom=said))
            self._owe(name, uid, study, stored.channel, destination, shown, modalities, cause)

    def _owe(
        self,
        name: str,
        subject: str,
        study: StoredStudy,
        channel: str,
        destination: Destination,
        data: InstanceData | StudyData,
        modalities: tuple[str, ...],
        cause: Cause,
    ) -> None:
        if destination.compact_orders:
            data = replace(data, orders=tuple(map(compact, data.orders)), compact_orders=True)
        event = cloud_event(self._site.origin, name, subject=subject, partition=study.uid, time=cause.at, data=data)
        keys = routing_keys(name, modalities, destination.routing_key)
        self.events.append(
            outbound(
                event,
                channel,
                destination.name,
                keys,
                correlation_id=cause.correlation_id,
                traceparent=cause.traceparent,
            )
        )


def _with(kind: type[Any], data: Any, **further: Any) -> Any:
    """The same data as a kind of it that says more."""
    return kind(**{name: getattr(data, name) for name in data.__struct_fields__}, **further)


def decided(study: StoredStudy) -> Decision:
    if study.decision is None:
        raise AssertionError(f"study without decision at revision {study.revision}")
    return study.decision


def previous(before: Decision | None) -> Previous | None:
    return Previous(before.verdict, before.orders) if before else None


def last_other(history: Sequence[HistoryEntry]) -> Decision | None:
    """The verdict and the orders that were the last ones before those that hold."""
    changed = (e for e in reversed(history) if e.previous is None or e.previous != Previous(e.verdict, e.orders))
    was = next((entry.previous for entry in changed), None)
    return Decision(was.verdict, orders=was.orders) if was else None
