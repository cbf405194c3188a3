"""The image is built from what the guards below allow: pinned, without root, without tools."""

import json
import re

from tests.guards.manifests import production
from tests.guards.source import ROOT

TEXT = (ROOT / "Containerfile").read_text(encoding="utf-8")
LINES = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", TEXT, flags=re.MULTILINE)).splitlines()
INSTRUCTIONS = [tuple(line.split(maxsplit=1)) for line in LINES if line.strip()]
FINAL = INSTRUCTIONS[max(index for index, (name, _) in enumerate(INSTRUCTIONS) if name == "FROM") :]

LABELS = {
    "name",
    "vendor",
    "version",
    "release",
    "summary",
    "description",
    "component",
    "part-of",
    "io.k8s.description",
    "io.k8s.display-name",
    "io.openshift.tags",
    "org.opencontainers.image.version",
    "org.opencontainers.image.revision",
    "org.opencontainers.image.source",
    "org.opencontainers.image.created",
    "org.opencontainers.image.licenses",
}


def values(instruction: str) -> list[str]:
    return [rest for name, rest in FINAL if name == instruction]


def test_every_base_image_is_an_argument_so_that_it_can_be_pinned() -> None:
    stages = {rest.split(" AS ")[-1] for name, rest in INSTRUCTIONS if name == "FROM"}
    bases = {rest.split()[0] for name, rest in INSTRUCTIONS if name == "FROM"}

    assert {base for base in bases - stages if not re.fullmatch(r"\$\{[A-Z]+_IMAGE\}", base)} <= {"scratch"}


def test_everything_installed_is_pinned_by_hash_or_already_here() -> None:
    installs = [
        command
        for name, rest in INSTRUCTIONS
        if name == "RUN"
        for command in rest.split("&&")
        if re.search(r"\bpip\b.* (install|wheel) ", command)
    ]

    assert len(installs) == 4
    assert [each for each in installs if "--require-hashes" not in each and "--no-index" not in each] == []
    assert [each for each in installs if " wheel " in each and "--no-build-isolation" not in each] == []


def test_the_image_runs_as_1001_and_only_copies_into_its_last_stage() -> None:
    assert values("USER") == ["1001:0"]
    assert values("RUN") == []
    assert values("EXPOSE") == ["8080 9090"]
    assert "/sbin/nologin" in TEXT


def test_signals_reach_the_service_without_a_shell_between() -> None:
    assert values("STOPSIGNAL") == ["SIGTERM"]
    assert json.loads(values("ENTRYPOINT")[0]) == ["datastorage"]
    assert json.loads(values("CMD")[0]) == production().server.container["args"] == ["serve"]


def test_the_health_check_asks_for_liveness_with_the_images_own_python() -> None:
    (check,) = values("HEALTHCHECK")
    options, _, command = check.partition(" CMD ")

    assert options.split() == ["--interval=30s", "--timeout=10s", "--start-period=30s", "--retries=3"]
    program, _, code = json.loads(command)
    assert program == "python"
    assert "/health/live" in code
    compile(code, "HEALTHCHECK", "exec")


def test_migrations_are_inside_where_the_job_looks_for_them() -> None:
    assert values("WORKDIR") == ["/srv/datastorage"]
    assert {"alembic.ini /srv/datastorage/", "alembic /srv/datastorage/alembic"} <= set(values("COPY"))


def test_the_image_says_what_it_is() -> None:
    (labels,) = values("LABEL")

    assert set(re.findall(r'([\w.-]+)="', labels)) >= LABELS


def test_the_build_sees_only_what_it_copies() -> None:
    lines = (ROOT / ".containerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    copied = {
        source
        for name, rest in INSTRUCTIONS
        if name == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    }

    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == {*copied, "Containerfile"}
    assert (ROOT / ".dockerignore").read_text(encoding="utf-8") == "\n".join([*lines, ""])


def test_the_make_targets_of_the_image_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    targets = set(re.findall(r"^(image[a-z-]*):", makefile, re.MULTILINE))
    assert targets == {
        "image",
        "image-single",
        "image-multi",
        "image-push",
        "image-run",
        "image-stop",
        "image-dev",
    }
    assert "linux/amd64,linux/arm64" in makefile
