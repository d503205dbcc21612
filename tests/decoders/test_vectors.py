# SPDX-License-Identifier: EUPL-1.2
"""The shared vectors on CPython; test_on_micropython.py runs the same ones on the node's interpreter."""

import json
from pathlib import Path

import pytest

from tests.decoders.vector_checks import CHECKS

FILES = sorted(Path(__file__).with_name("vectors").glob("*.json"))
VECTORS = [
    (path.stem, kind, vector)
    for path in FILES
    for kind, vectors in json.loads(path.read_text()).items()
    for vector in vectors
]


@pytest.mark.parametrize(
    ("kind", "vector"),
    [pytest.param(kind, vector, id=f"{stem}-{kind}-{vector['description']}") for stem, kind, vector in VECTORS],
)
def test_vector_holds(kind, vector):
    CHECKS[kind](vector)


def test_every_check_has_vectors_and_every_vector_a_source():
    assert {kind for _, kind, _ in VECTORS} == set(CHECKS)
    assert all(vector["source"] and vector["description"] for _, _, vector in VECTORS)
