"""The verdict about a study from all that is known: its objects, orders, patients, reports, and what people decided."""

from collections.abc import Iterable, Mapping, Sequence

from bridge.core.decision import Decision, Verdict
from bridge.core.events import PublishedReport
from bridge.core.evidence import Departure, StudyFacts
from bridge.core.facts import fact_keys
from bridge.core.known_patients import as_known
from bridge.core.link_decisions import decision_lookups
from bridge.core.matching import decide
from bridge.core.model import Report
from bridge.core.orders import Order
from bridge.core.persons import Persons
from bridge.core.publishing import published_report
from bridge.core.reports import report_lookups, reports_about
from bridge.core.rules import Pair, linking, study_lookups, successor_lookups, suggestions
from bridge.core.struct import encode
from bridge.correlation.announcing import decided
from bridge.correlation.orders import Orders
from bridge.correlation.people import People
from bridge.store.rows import StoredStudy
from bridge.store.transaction import Transaction


class Verdicts:
    """Finds what a study has to be decided from, and decides it."""

    def __init__(self, db: Transaction, orders: Orders, people: People) -> None:
        self._db = db
        self._orders = orders
        self._people = people
        self._linked: dict[str, tuple[Order, ...]] = {}  # by study, as they are known
        self._reports: dict[Pair, dict[bytes, Report]] = {}  # by key, then by content

    def of(self, study: StoredStudy) -> tuple[Decision, tuple[Order, ...]]:
        """The verdict from all that is known, and the orders that it links. What only suggests is looked at last."""
        statements = study.current_statements()
        facts = StudyFacts(
            statements,
            rejections=tuple(sorted(set(study.rejections.values()))),
            departures=tuple(Departure(uid, other or None) for uid, other in sorted(study.departures)),
            decisions=study.decisions,
        )
        keys = linking(study_lookups(statements)) | decision_lookups(study.decisions)
        orders = {order.id: order for order in self._orders.under(keys)}
        replaced = [order for order in orders.values() if order.status == "cancelled"]
        orders |= {o.id: o for order in replaced for o in self._orders.under(successor_lookups(order))}
        persons, known = self._as_known(facts, orders)
        decision = decide(facts, known.values(), persons)
        if decision.verdict is not Verdict.MATCHED:
            suggested = {o.id: o for o in self._orders.under(suggestions(statements, persons)) if o.id not in orders}
            if suggested:
                persons, known = self._as_known(facts, orders | suggested)
                decision = decide(facts, known.values(), persons)
        linked = tuple(known[order_id] for order_id in decision.orders)
        self._linked[study.uid] = linked
        return decision, linked

    def _as_known(self, facts: StudyFacts, orders: Mapping[str, Order]) -> tuple[Persons, dict[str, Order]]:
        """The orders with what is known of their patients."""
        identifiers = [i for statement in facts.statements for i in statement.patient.identifiers]
        identifiers += [i for order in orders.values() for i in order.patient.identifiers]
        persons = self._people.persons(identifiers)
        return persons, {
            order_id: as_known(order, self._people.updates(order.patient.identifiers), persons)
            for order_id, order in orders.items()
        }

    def linked(self, study: StoredStudy) -> tuple[Order, ...]:
        """The linked orders of a study whose verdict stands."""
        if study.uid not in self._linked:
            orders = {order.id: order for order in self._orders.named(decided(study).orders)}
            _, known = self._as_known(StudyFacts(study.current_statements()), orders)
            self._linked[study.uid] = tuple(known.values())
        return self._linked[study.uid]

    # Reports

    def load_reports(self, keys: Iterable[Pair]) -> None:
        missing = {key for key in keys if key not in self._reports}
        if missing:
            self._reports.update({key: {} for key in missing})
            for report in self._db.facts(missing, Report).values():
                for key in fact_keys(report) & missing:
                    self._reports[key][encode(report)] = report

    def add_report(self, report: Report) -> frozenset[Pair]:
        """Keeps another report; returns its keys."""
        keys = fact_keys(report)
        self.load_reports(keys)
        for key in keys:
            self._reports[key][encode(report)] = report
        return keys

    def reports(self, study: StoredStudy, linked: Sequence[Order]) -> tuple[PublishedReport, ...]:
        """The reports that are known for a matched study."""
        if not linked:
            return ()
        keys = report_lookups([study.uid], linked)
        self.load_reports(keys)
        known = {content: report for key in keys for content, report in self._reports[key].items()}
        if not known:
            return ()
        persons = self._people.persons(i for order in linked for i in order.identity.identifiers)
        about = reports_about(study.uid, linked, known.values(), persons)
        return tuple(published_report(report) for report in about)
