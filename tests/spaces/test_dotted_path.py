"""What stands at a dotted path, and one sentence where nothing does."""

import sys
import types

import pytest

from nas_lightning.errors import UserError
from nas_lightning.spaces.dotted_path import found_at
from nas_lightning.spaces.errors import SpaceError


@pytest.mark.parametrize("path", ["nas_lightning.errors.UserError", "nas_lightning.errors:UserError"])
def test_both_spellings(path):
    assert found_at(path, said="x", error=SpaceError) is UserError


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("Alone", "is no dotted path; give one such as my_module.MyClass"),
        ("nowhere_at_all.Thing", "there is no module nowhere_at_all; .* PYTHONPATH"),
        ("nas_lightning.nowhere.Thing", "there is no module nas_lightning.nowhere"),
        ("nas_lightning.errors.Nothing", "the module nas_lightning.errors has no Nothing"),
        ("x" * 5000 + ".Y", "there is no module"),
    ],
)
def test_what_is_not_there(path, words):
    with pytest.raises(SpaceError, match=f"^_target_=.*{words}") as refused:
        found_at(path, said=f"_target_={path}", error=SpaceError)
    assert len(str(refused.value)) < 300


def test_a_module_that_fails_to_import_keeps_its_traceback(monkeypatch, tmp_path):
    (tmp_path / "half_there.py").write_text("import what_it_needs\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="what_it_needs"):
        found_at("half_there.Thing", said="x", error=SpaceError)
    monkeypatch.setitem(sys.modules, "whole", types.SimpleNamespace(Thing=3))
    assert found_at("whole.Thing", said="x", error=SpaceError) == 3
