"""Objectives over the toy space."""

import pytest

from tests.helpers.toy_space import make_objective


@pytest.fixture
def objective():
    return make_objective(requested=("params",))


@pytest.fixture
def single():
    return make_objective((9,), requested=("params",))
