import subprocess
import sys

import pytest

import zo
from zo.addresses import SOURCES, make_spec


def test_importing_and_parsing_load_neither_torch_nor_numpy():
    code = (
        "import sys, zo; zo.parse_source('pool:size=31'); dir(zo);"
        "assert not {'torch', 'numpy'} & set(sys.modules), 'loaded'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_defaults_and_overrides():
    spec = zo.parse_source("lfsr_bank:num_rngs=7,rotation=none,leap=none,repair=false")
    values = dict(spec.params)
    assert values["num_rngs"] == 7
    assert values["rotation"] == "none"
    assert values["leap"] is None
    assert values["repair"] is False
    assert spec.address == "lfsr_bank:num_rngs=7,rotation=none,repair=false"
    assert str(zo.parse_source(" pool:bits=8 ")) == "pool"


def test_specs_are_values():
    assert zo.parse_source("pool:size=31,bits=4") == zo.parse_source("pool:bits=4,size=31")
    assert make_spec("pool", size=31) == zo.Pool(31).spec
    assert len({zo.parse_source("pool"), zo.parse_source("pool:size=4093")}) == 1


@pytest.mark.parametrize("name", SOURCES)
def test_every_entry_builds(name):
    source = zo.parse_source(name).build()
    assert isinstance(source, zo.Source)
    assert source.spec.name == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pol", "did you mean 'pool'"),
        ("pool:sise=3", "did you mean 'size'"),
        ("pool:size=1", "2 <= size <= "),
        ("pool:size=big", "size='big'"),
        ("pool:size", "name:key=value"),
        ("pool:size=3,size=5", "each key once"),
        ("pool:repair=maybe", "write true or false"),
        ("pool:bits=none", "bits='none'"),
        ("lfsr_bank:rotation=rign", "did you mean 'ring'"),
        ("lfsr_bank:num_rngs=300,bits=8", "num_rngs <= 2"),
    ],
)
def test_bad_addresses_name_the_law_and_the_value(text, message):
    with pytest.raises(ValueError, match=message):
        zo.get_source(text)


def test_unknown_names_of_the_package_raise_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Poool'"):
        _ = zo.Poool
