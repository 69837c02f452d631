"""Filters by name."""

import pytest

from os_migrate.errors import UserError
from os_migrate.files.filters import Selection, select
from os_migrate.settings import EVERYTHING, NameFilter, Regex

NAMES = ["web1", "web2", "db.one", "old-db.one"]


def choose(*wanted: str | Regex, names: list[str] = NAMES) -> Selection[str]:
    return select(tuple(wanted), names, lambda n: n, "servers")


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        (EVERYTHING, NAMES),
        (("web1",), ["web1"]),
        (("web2", "web1"), ["web1", "web2"]),
        ((Regex("db"),), ["db.one", "old-db.one"]),
        ((Regex("^db"),), ["db.one"]),
        (("web1", Regex("2$")), ["web1", "web2"]),
    ],
)
def test_a_name_is_exact_and_a_pattern_is_searched(wanted: NameFilter, chosen: list[str]):
    assert list(choose(*wanted).chosen) == chosen


def test_a_name_is_no_pattern():
    with pytest.raises(UserError):
        choose("db.on.")


def test_a_filter_that_matches_nothing_is_an_error_that_lists_what_there_was():
    with pytest.raises(UserError) as caught:
        choose("web3", Regex("^x"))
    assert caught.value.what == "the filter 'web3', ~^x matches none of the servers"
    assert caught.value.remedy == "there are: 'db.one', 'old-db.one', 'web1', 'web2'"


def test_a_long_list_is_cut():
    with pytest.raises(UserError, match="and 980 more"):
        choose("x", names=[f"n{i}" for i in range(1000)])


def test_an_empty_filter_is_an_error():
    with pytest.raises(UserError, match="empty"):
        choose()


def test_entries_that_match_nothing_are_told():
    assert choose("web1", "web3", Regex("^x")).idle == ("'web3'", "~^x")
    assert choose(*EVERYTHING, names=[]) == Selection((), ())
