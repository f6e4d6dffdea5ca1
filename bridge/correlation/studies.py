"""The studies and their objects as one transaction sees them: counted, rejected, moved, and found by their keys."""

from collections.abc import Collection
from hashlib import sha256

from bridge.core.events import SeriesSummary
from bridge.core.instance_number import InstanceNumber, summarise
from bridge.core.link_decisions import decision_lookups
from bridge.core.model import Instance, LinkDecision
from bridge.core.rules import Pair, study_lookups
from bridge.core.struct import encode
from bridge.store.key_index import KeyIndex
from bridge.store.rows import StoredInstance, StoredStudy
from bridge.store.transaction import Transaction

_FEW = 50  # objects of a study that are loaded before it is known whether they are needed


class Studies:
    """Loads, counts and saves studies and instances."""

    def __init__(self, db: Transaction) -> None:
        self._db = db
        self._by_key = KeyIndex(db, "study")
        self._studies: dict[str, StoredStudy] = {}
        self._changed: set[str] = set()
        self._instances: dict[str, StoredInstance | None] = {}
        self._changed_instances: set[str] = set()
        self._stored_instances: dict[str, list[StoredInstance]] = {}  # by study
        self._rejections: dict[str, dict[str, tuple[str, str]]] = {}  # instance -> note -> (study, code)
        self._new_rejections: dict[tuple[str, str], tuple[str, str] | None] = {}  # None: it is no more
        self._new_departures: set[tuple[str, str, str]] = set()

    # Loading

    def load(self, uids: Collection[str]) -> list[StoredStudy]:
        missing = {uid for uid in uids if uid not in self._studies}
        if missing:
            self._studies.update(self._db.studies(missing))
        return [self._studies[uid] for uid in sorted(uids)]

    def is_loaded(self, uid: str) -> bool:
        return uid in self._studies

    def load_instances(self, uids: Collection[str]) -> None:
        missing = {uid for uid in uids if uid not in self._instances}
        if missing:
            self._instances.update(dict.fromkeys(missing))
            self._instances.update(self._db.instances(missing))
            self._rejections.update(self._db.rejections_of(missing))

    def load_keys(self, keys: Collection[Pair]) -> None:
        self._by_key.load(keys)

    def load_few_objects(self, studies: Collection[StoredStudy]) -> None:
        """The objects of studies that have few of them."""
        self._load_objects({one.uid for one in studies if sum(one.series.values()) <= _FEW})

    def _load_objects(self, uids: Collection[str]) -> None:
        missing = {uid for uid in uids if uid not in self._stored_instances}
        if missing:
            self._stored_instances.update(self._db.instances_of(missing))

    def under(self, keys: Collection[Pair]) -> set[str]:
        """The studies that have one of these keys."""
        return self._by_key.owners(keys)

    def instance(self, uid: str) -> StoredInstance | None:
        self.load_instances([uid])
        return self._instances[uid]

    def open(self, uid: str, channel: str) -> StoredStudy:
        """A study that is stored, or a new one that came through `channel`."""
        [study] = self.load([uid])
        if not study.channel:
            study.channel = channel
            self._stored_instances[uid] = []
        return study

    def objects(self, study: StoredStudy) -> list[StoredInstance]:
        """The current objects of a study that are not rejected."""
        self._load_objects([study.uid])
        found = {one.instance.sop_instance_uid: one for one in self._stored_instances[study.uid]}
        found.update({uid: one for uid in self._changed_instances if (one := self._instances[uid])})
        current = [one for _, one in sorted(found.items()) if one.instance.statement.study_instance_uid == study.uid]
        rejected = {instance for instance, _ in study.rejections}
        return [one for one in current if one.instance.sop_instance_uid not in rejected]

    def rejected(self, study: StoredStudy) -> list[StoredInstance]:
        """The known objects of a study that notes took out of it."""
        uids = {instance for instance, _ in study.rejections}
        self.load_instances(uids)
        known = [one for uid in sorted(uids) if (one := self._instances[uid])]
        return [one for one in known if one.instance.statement.study_instance_uid == study.uid]

    # Objects come, go and are rejected

    def put(self, stored: StoredInstance) -> bool:
        """Takes an object as the current one of its UID; says whether its study's statements changed by that."""
        instance = stored.instance
        study = self._studies[instance.statement.study_instance_uid]
        self._instances[instance.sop_instance_uid] = stored
        self._changed_instances.add(instance.sop_instance_uid)
        return self.rejection_of(instance) is None and self._count(study, instance, +1)

    def take_out(self, instance: Instance) -> None:
        """Counts an object no more that another one replaces."""
        if self.rejection_of(instance) is None:
            self._count(self._studies[instance.statement.study_instance_uid], instance, -1)

    def rejection_of(self, instance: Instance) -> tuple[str, str] | None:
        """The code and the SOP Instance UID of the note that rejects it; a note that names another study does not."""
        notes = self._rejections[instance.sop_instance_uid]
        study = instance.statement.study_instance_uid
        return min(((code, note) for note, (named, code) in notes.items() if named == study), default=None)

    def note(self, arrived: Instance, replaced: Instance | None) -> tuple[set[str], list[StoredInstance]]:
        """Takes out what a rejection note lists, and lets back what the object that it replaces had taken out.

        Returns the studies that are spoken of, and the known objects that were in or out and are not any more.
        """
        before, after = _listed(replaced), _listed(arrived)
        spoken_of = {study for (_, study), code in before.items() ^ after.items()}
        self.load_instances({uid for uid, _ in before.keys() | after.keys()})
        self.load(spoken_of)
        known = [one for uid in {uid for uid, _ in before.keys() | after.keys()} if (one := self._instances[uid])]
        were_out = {one.instance.sop_instance_uid for one in known if self.rejection_of(one.instance)}
        note = arrived.sop_instance_uid
        for uid, study in before.keys() - after.keys():
            self._rejections[uid].pop(note, None)
            self._studies[study].rejections.pop((uid, note), None)
            self._new_rejections[uid, note] = None
        for (uid, study), code in after.items():
            self._rejections[uid][note] = (study, code)
            self._studies[study].rejections[uid, note] = code
            self._new_rejections[uid, note] = (study, code)
        turned = []
        for one in known:
            is_out = self.rejection_of(one.instance) is not None
            if is_out is not (one.instance.sop_instance_uid in were_out):
                self._count(
                    self._studies[one.instance.statement.study_instance_uid], one.instance, -1 if is_out else +1
                )
                turned.append(one)
        return {uid for uid in spoken_of if self._studies[uid].channel}, turned

    def depart(self, study: str, instance: str, other: str) -> None:
        """Remembers that an object came again with another study (`other`) or, where that is empty, patient."""
        [stored] = self.load([study])
        stored.departures.add((instance, other))
        self._new_departures.add((study, instance, other))

    def _count(self, study: StoredStudy, instance: Instance, change: int) -> bool:
        """Adds or removes one object; says whether the study's set of statements changed. A note states nothing."""
        series = _series(instance)
        study.series[series] = study.series.get(series, 0) + change
        self._changed.add(study.uid)
        if instance.rejects:
            return False
        digest = sha256(encode(instance.statement)).hexdigest()[:32]
        _, count = study.statements.get(digest, (instance.statement, 0))
        if count + change and count:
            study.statements[digest] = (instance.statement, count + change)
            return False
        before = _lookups(study)
        study.statements[digest] = (instance.statement, count + change)
        self._by_key.replace(study.uid, before, _lookups(study))
        return True

    # What people decide

    def decide(self, decision: LinkDecision) -> StoredStudy:
        [study] = self.load([decision.study_instance_uid])
        before = _lookups(study)
        study.decisions += (decision,)
        self._by_key.replace(study.uid, before, _lookups(study))
        return study

    # Saving

    def changed(self, study: StoredStudy) -> None:
        self._changed.add(study.uid)

    def instance_numbers(self, study: StoredStudy) -> dict[tuple[str, str], list[InstanceNumber]]:
        """By series (UID, modality): of every current object that is not rejected."""
        found: dict[tuple[str, str], list[InstanceNumber]] = {}
        rejected = {instance for instance, _ in study.rejections}
        for series, numbers in self._db.instance_numbers(study.uid).items():
            for uid, number in numbers.items():
                if uid not in rejected and uid not in self._changed_instances:
                    found.setdefault(series, []).append(number)
        for uid in self._changed_instances - rejected:
            stored = self._instances[uid]
            if stored and stored.instance.statement.study_instance_uid == study.uid:
                found.setdefault(_series(stored.instance), []).append(stored.instance.instance_number)
        return found

    def save(self) -> None:
        db = self._db
        db.save_instances([one for uid in sorted(self._changed_instances) if (one := self._instances[uid])])
        db.save_studies([self._studies[uid] for uid in sorted(self._changed)])
        added = [(*key, *said) for key, said in self._new_rejections.items() if said]
        db.save_rejections(added, [key for key, said in self._new_rejections.items() if not said])
        db.add_departures(sorted(self._new_departures))
        self._by_key.save()


def _series(instance: Instance) -> tuple[str, str]:
    return instance.series_instance_uid or "", instance.statement.modality or ""


def _listed(note: Instance | None) -> dict[tuple[str, str], str]:
    """The code for each (instance, study) that a rejection note lists; no object lists itself."""
    if note is None or note.rejects is None:
        return {}
    own_study, own_uid = note.statement.study_instance_uid, note.sop_instance_uid
    listed = {one.sop_instance_uid: one.study_instance_uid or own_study for one in note.rejects.instances}
    return {(uid, study): note.rejects.code for uid, study in listed.items() if uid != own_uid}


def _lookups(study: StoredStudy) -> frozenset[Pair]:
    """What a study is found by: what its objects state, and the orders that people named for it."""
    return study_lookups(study.current_statements()) | decision_lookups(study.decisions)


def series_of(
    study: StoredStudy, numbers: dict[tuple[str, str], list[InstanceNumber]] | None = None
) -> tuple[SeriesSummary, ...]:
    """The counts of a study's series, with what its Instance Numbers have between them where these are given."""
    return tuple(
        SeriesSummary(uid or None, modality or None, instances, summarise(numbers[uid, modality]) if numbers else None)
        for (uid, modality), instances in sorted(study.series.items())
        if instances
    )
