"""The public names are there, light to import, and typed."""

import subprocess
import sys
from importlib import resources

import pytest

import nas_lightning


@pytest.mark.parametrize("name", nas_lightning.__all__)
def test_a_public_name_is_there_and_says_what_it_is(name):
    found = getattr(nas_lightning, name)
    assert name == "__version__" or found.__doc__.strip()
    assert name in dir(nas_lightning)


def test_the_package_imports_nothing_heavy_and_marks_its_types():
    code = "import sys, nas_lightning; assert not {'torch', 'numpy', 'pyarrow', 'hydra'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (resources.files("nas_lightning") / "py.typed").is_file()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Planet'"):
        nas_lightning.Planet  # noqa: B018
