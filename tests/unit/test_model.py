from hypothesis import given
from hypothesis import strategies as st

from os_migrate.model import (
    AttemptId,
    FlavorId,
    Image,
    NetworkId,
    Port,
    PortId,
    ServerSpec,
    Snapshot,
    SnapshotId,
    Tag,
    VolumeId,
    VolumeSpec,
    tag_of,
)
from tests.unit.test_journal import EXAMPLES

LONGEST_DESCRIPTION = 255
"""Neutron's and Cinder's limit."""


@given(st.from_regex(r"[0-9a-f]{10}", fullmatch=True), st.sampled_from([s.key for s, _ in EXAMPLES]))
def test_attempt_is_read_back_from_every_form_of_a_tag(attempt, key):
    tag = Tag(AttemptId(attempt), key)
    port = Port(PortId("p"), "", NetworkId("n"), "", (), description=tag.text())
    image = Image("i", "", properties=tag.metadata())
    snapshot = Snapshot(SnapshotId("s"), "", "available", VolumeId("v"), tag.metadata())
    assert {tag_of(thing) for thing in (port, image, snapshot)} == {tag}


@given(st.text(max_size=60))
def test_untagged_things_belong_to_no_attempt(text):
    port = Port(PortId("p"), "", NetworkId("n"), "", (), description=text)
    assert tag_of(port) is None


def test_tags_of_different_steps_differ_and_fit():
    texts = [Tag(AttemptId("0123456789"), s.key).text() for s, _ in EXAMPLES]
    assert len(set(texts)) == len(texts)
    assert all(len(t) <= LONGEST_DESCRIPTION for t in texts)


def test_more_metadata_keeps_what_was_there():
    assert VolumeSpec("v", 1, metadata={"a": "1"}).with_metadata({"b": "2"}).metadata == {"a": "1", "b": "2"}
    assert ServerSpec("s", FlavorId("f"), (), (), metadata={"a": "1"}).with_metadata({"a": "2"}).metadata == {"a": "2"}


def test_user_data_is_in_no_text_of_a_spec():
    assert "c2VjcmV0" not in repr(ServerSpec("s", FlavorId("f"), (), (), user_data="c2VjcmV0"))
