"""The filters."""

from importlib import import_module

import pytest
from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var

from tests.ansible.conftest import PLUGINS

stringfilter = import_module(f"{PLUGINS}.filter.stringfilter").stringfilter
json_query = import_module(f"{PLUGINS}.filter.json_query").json_query

THINGS = [{"name": "shop", "id": 1}, {"name": "workshop", "id": 2}, {"name": "back", "id": 3}]


def test_an_exact_name_is_only_that_name():
    assert [thing["id"] for thing in stringfilter(THINGS, ["shop"], attribute="name")] == [1]


def test_a_pattern_is_searched_for():
    assert [thing["id"] for thing in stringfilter(THINGS, [{"regex": "shop"}], attribute="name")] == [1, 2]


def test_strings_are_matched_themselves_and_keep_their_order():
    assert stringfilter(["c", "b", "a"], ["a", {"regex": "[c]"}]) == ["c", "a"]


def test_what_has_no_name_is_called_nothing():
    assert stringfilter(["archive", None], [{"regex": "^$"}]) == [None]
    assert stringfilter(["archive", None], ["archive"]) == ["archive"]


def test_an_empty_filter_matches_nothing():
    assert stringfilter(["a"], []) == []


@pytest.mark.parametrize("entry", [{"regexp": "x"}, {"regex": "("}, 7])
def test_an_entry_that_is_none_is_refused(entry):
    with pytest.raises(AnsibleFilterError):
        stringfilter(["a"], [entry])


def test_data_is_asked_in_jmespath():
    assert json_query(THINGS, "[?id > `1`].name") == ["workshop", "back"]


def test_what_came_from_a_task_is_text_to_jmespath():
    assert json_query(wrap_var(THINGS), "[?contains(name, 'shop')].id") == [1, 2]


def test_an_expression_that_is_none_is_refused():
    with pytest.raises(AnsibleFilterError, match="can't use"):
        json_query(THINGS, "[?")
