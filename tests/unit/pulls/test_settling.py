"""Which requests are one pull."""

from haven_registry.services.pull_settling import WINDOW_SECONDS, Head, Lately, Read

INDEX, CHILD = "sha256:i", "sha256:c"


def get(at: float, digest: str, tag: str = "", who: str = "anne", address: str = "a", repository: int = 1) -> Read:
    return Read(at, repository, digest, tag, who, address, digest == INDEX)


def settle(*requests: Read | Head) -> list[tuple[str, bool]]:
    """(tag, is a pull) of each GET."""
    reads = [each for each in requests if isinstance(each, Read)]
    heads = [each for each in requests if isinstance(each, Head)]
    lately = Lately(heads, [(read.key, read.at) for read in reads if read.is_index])
    return [lately.settle(read, {INDEX} if read.digest == CHILD else ())[1:] for read in reads]


def test_podman_gets_the_tag_then_its_platform() -> None:
    assert settle(get(0, INDEX, "v1"), get(0.1, CHILD)) == [("v1", True), ("", False)]


def test_containerd_heads_the_tag_then_gets_digests() -> None:
    found = settle(Head(0, 1, INDEX, "v1", "anne"), get(0.1, INDEX), get(0.2, CHILD))
    assert found == [("v1", True), ("", False)]


def test_a_digest_alone_is_a_pull_of_no_tag() -> None:
    assert settle(get(0, CHILD)) == [("", True)]
    assert settle(get(0, CHILD), get(1, CHILD)) == [("", True)] * 2


def test_a_child_that_was_asked_for_by_its_own_tag_counts() -> None:
    found = settle(get(0, INDEX, "v1"), Head(1, 1, CHILD, "v1-arm", "anne"), get(2, CHILD))
    assert found == [("v1", True), ("v1-arm", True)]


def test_the_last_tag_asked_for_is_the_one() -> None:
    asked = [Head(0, 1, INDEX, "v1", "anne"), Head(5, 1, INDEX, "latest", "anne"), Head(20, 1, INDEX, "next", "anne")]
    assert settle(*asked, get(4, INDEX), get(6, INDEX)) == [("v1", True), ("latest", True)]


def test_what_somebody_else_did_explains_nothing() -> None:
    others = [
        Head(0, 1, INDEX, "v1", "bob"), Head(0, 2, INDEX, "v1", "anne"), Head(0, 1, CHILD, "v1", "anne"),
    ]  # fmt: skip
    assert settle(*others, get(1, INDEX)) == [("", True)]
    assert settle(get(0, INDEX, who="bob"), get(1, CHILD)) == [("", True)] * 2
    assert settle(get(0, INDEX, repository=2), get(1, CHILD)) == [("", True)] * 2


def test_people_without_a_name_are_told_apart_by_their_address() -> None:
    assert settle(get(0, INDEX, who="", address="b"), get(1, CHILD, who="", address="a")) == [("", True)] * 2
    assert settle(get(0, INDEX, who="", address="a"), get(1, CHILD, who="", address="a")) == [("", True), ("", False)]
    assert settle(get(0, INDEX, address="b"), get(1, CHILD, address="a")) == [("", True), ("", False)]


def test_the_window_ends_and_does_not_reach_back() -> None:
    late = WINDOW_SECONDS + 1
    assert settle(Head(0, 1, INDEX, "v1", "anne"), get(late, INDEX)) == [("", True)]
    assert settle(get(0, INDEX), get(late, CHILD)) == [("", True)] * 2
    assert settle(get(1, INDEX), get(0, CHILD)) == [("", True)] * 2
    assert settle(get(0.2, INDEX), get(0, CHILD)) == [("", True), ("", False)]  # clocks of two hosts
