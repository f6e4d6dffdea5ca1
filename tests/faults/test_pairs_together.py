"""Two processes on one PostgreSQL never miss each other. More often: `python -m tests.faults.pairs --repeat 20`."""

from tests.faults.pairs import missed
from tests.localpostgres import LocalPostgres


def test_an_order_and_an_object_that_arrive_at_the_same_moment_in_two_processes_are_linked(
    postgres: LocalPostgres,
) -> None:
    for _ in range(2):
        url = postgres.new_database()
        assert missed(url) == []
        postgres.drop_database(url)
